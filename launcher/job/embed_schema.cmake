# cmake -DINPUT=job.desc -DOUTPUT=schema.cc -P embed_schema.cmake: the bytes as a C++ array, since
# generated message classes do not keep the comments that `trireme help` prints.
file(READ ${INPUT} bytes HEX)
string(LENGTH "${bytes}" digits)
math(EXPR size "${digits} / 2")
string(REGEX REPLACE "(................................)" "\\1\n" array "${bytes}")
string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," array "${array}")
file(WRITE ${OUTPUT} "#include \"launcher/job/schema.h\"

namespace trireme::launcher {
namespace {
constexpr unsigned char kBytes[] = {
${array}};
}  // namespace

std::span<const unsigned char> schema_bytes() { return {kBytes, ${size}}; }

}  // namespace trireme::launcher
")
