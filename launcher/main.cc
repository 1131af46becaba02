#include "launcher/run.h"

int main(int argc, char** argv) { return trireme::run(argc, argv); }
