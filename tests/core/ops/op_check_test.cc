// The check that every op relies on must itself find broken ops.
#include "tests/support/op_check.h"

#include <gmock/gmock.h>

#include "core/graph/differentiate.h"
#include "core/ops/scale.h"

namespace trireme::test {
namespace {

using core::KernelArgs;
using testing::ElementsAre;
using testing::HasSubstr;

enum class Fault {
  kNone,
  kForward,
  kGradient,
  kInPlace,
  kWritesInput,
  kPastTheEnd,
  kPastWorkspace
};

// y = 2x, wrong in one chosen way.
class Doubling : public core::Op {
 public:
  explicit Doubling(Fault fault) : fault_(fault) {}
  std::string_view type() const override { return "doubling"; }
  std::vector<core::ValueType> infer(std::span<const core::ValueType> in) const override {
    return {in[0]};
  }
  void gradient(core::GradientBuilder& builder) const override {
    const float factor = fault_ == Fault::kGradient ? 2.01f : 2.0f;
    builder.emit("input", std::make_shared<core::Scale>(factor), {builder.output_gradient(0)}, {0});
  }
  core::Cost cost(const core::NodeTypes&) const override { return {}; }
  int64_t workspace_cap(const core::NodeTypes&, core::DeviceKind) const override { return 8; }
  int may_overwrite() const override { return 0; }
  std::unique_ptr<core::Kernel> cpu_kernel(const core::NodeTypes& types,
                                           const core::KernelContext&) const override;
  std::unique_ptr<core::Kernel> cuda_kernel(const core::NodeTypes&,
                                            const core::KernelContext&) const override {
    return nullptr;
  }

 private:
  Fault fault_;
};

class DoublingKernel : public core::Kernel {
 public:
  DoublingKernel(Fault fault, int64_t count) : fault_(fault), count_(count) {}
  void run(const KernelArgs& args) override {
    auto* x = const_cast<float*>(args.in<float>(0));
    float* y = args.out<float>(0);
    const bool in_place = x == y;
    for (int64_t i = 0; i < count_; ++i) y[i] = 2 * x[i];
    if (fault_ == Fault::kForward) y[count_ - 1] *= 1.001f;
    if (fault_ == Fault::kInPlace && in_place) y[0] += 1;
    if (fault_ == Fault::kWritesInput && !in_place) x[0] = 5;
    if (fault_ == Fault::kPastTheEnd) y[count_] = 0;
    if (fault_ == Fault::kPastWorkspace) static_cast<char*>(args.workspace)[8] = 0;
  }

 private:
  Fault fault_;
  int64_t count_;
};

std::unique_ptr<core::Kernel> Doubling::cpu_kernel(const core::NodeTypes& types,
                                                   const core::KernelContext&) const {
  return std::make_unique<DoublingKernel>(fault_, types.inputs[0].elements());
}

OpCase doubling(Fault fault) {
  return {.name = "doubling",
          .op = std::make_shared<Doubling>(fault),
          .inputs = {Random(3).normal({3, 5})},
          .reference =
              [](const std::vector<HostTensor>& inputs) {
                std::vector<double> y = inputs[0].values;
                for (double& value : y) value *= 2;
                return OutputValues{y};
              },
          .activations = {0}};
}

std::vector<std::string> forward(Fault fault) {
  return forward_problems(*make_cpu_op_device(1), doubling(fault));
}

TEST(OpCheck, PassesWhatIsRight) {
  EXPECT_THAT(forward(Fault::kNone), ElementsAre());
  EXPECT_THAT(gradient_problems(*make_cpu_op_device(1), doubling(Fault::kNone)), ElementsAre());
}

TEST(OpCheck, FindsAWrongValue) {
  EXPECT_THAT(forward(Fault::kForward), ElementsAre(HasSubstr("output 0 element 14 is")));
}

TEST(OpCheck, FindsAWrongResultInPlace) {
  EXPECT_THAT(forward(Fault::kInPlace), ElementsAre(HasSubstr("other bits")));
}

TEST(OpCheck, FindsAWriteToAnInput) {
  EXPECT_THAT(forward(Fault::kWritesInput), ElementsAre(HasSubstr("wrote to its input 0")));
}

TEST(OpCheck, FindsAWritePastTheEnd) {
  EXPECT_THAT(forward(Fault::kPastTheEnd), ElementsAre(HasSubstr("outside of its memory")));
  EXPECT_THAT(forward(Fault::kPastWorkspace), ElementsAre(HasSubstr("outside of its memory")));
}

TEST(OpCheck, FindsAWrongGradient) {
  EXPECT_THAT(gradient_problems(*make_cpu_op_device(1), doubling(Fault::kGradient)),
              ElementsAre(HasSubstr("gradient of input 0, element")));
}

TEST(OpCheck, RefusesGradientsNearZero) {
  OpCase c = doubling(Fault::kNone);
  c.op = std::make_shared<core::Scale>(0.0f);
  c.reference = [](const std::vector<HostTensor>& inputs) {
    return OutputValues{std::vector<double>(inputs[0].values.size())};
  };
  EXPECT_THAT(gradient_problems(*make_cpu_op_device(1), c),
              ElementsAre(HasSubstr("proves nothing")));
}

}  // namespace
}  // namespace trireme::test
