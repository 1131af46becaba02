#include "core/cpu/flash_attention.h"

namespace trireme::core {

int64_t flash_forward_bytes(int64_t head_dim) { return 1024 * head_dim; }
int64_t flash_backward_bytes(int64_t head_dim) { return 2048 * head_dim; }

}  // namespace trireme::core
