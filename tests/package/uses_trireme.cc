// A header and the library behind it, found through the installed package.
#include <cstdio>

#include "core/base/shape.h"

int main() {
  const trireme::core::Shape shape{32, 28, 28, 1};
  std::printf("%s\n", shape.str().c_str());
  return shape.str() == "(32, 28, 28, 1)" ? 0 : 1;
}
