// The program; what is around its commands lies in program.cpp, so that tests can run it too.
#include "launch/program.hpp"

int main(int argc, char** argv) {
  return tutti::run_program(argc, argv);
}
