// What a model of ours says after each of some tokens: f32 logits (tokens, vocabulary) in a file.
//
//   print_logits JOB PARAMETERS OUT TOKEN...
#include <cstdio>
#include <cstdlib>
#include <fstream>

#include "core/base/error.h"
#include "launcher/eval/weights.h"
#include "launcher/generate/generator.h"
#include "launcher/job/load.h"
#include "launcher/job/source_text.h"

namespace {

void print_logits(char** words, int tokens) {
  using namespace trireme;
  const launcher::LoadedJob job = launcher::parse_job(launcher::read_job_file(words[0]), words[0]);
  const auto device = core::make_cpu_device(1);
  launcher::Generator generator(*device, job.options.model);
  launcher::Weights weights({words[1]});
  weights.load(generator.inference().layout(), [&](const std::string& name, auto values) {
    generator.inference().set_parameter(name, values);
  });
  std::ofstream out(words[2], std::ios::binary);
  for (int i = 0; i < tokens; ++i) {
    const int32_t token = std::atoi(words[3 + i]);
    const auto logits = generator.read({&token, 1});
    out.write(reinterpret_cast<const char*>(logits.data()),
              static_cast<std::streamsize>(logits.size_bytes()));
  }
  if (!out.flush()) throw SystemError("[print_logits] cannot write");
}

}  // namespace

int main(int argc, char** argv) {
  try {
    if (argc < 5) trireme::fail("print_logits JOB PARAMETERS OUT TOKEN...");
    print_logits(argv + 1, argc - 4);
    return 0;
  } catch (const trireme::Error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return static_cast<int>(error.code());
  }
}
