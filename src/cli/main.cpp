// The executable kuilt: see `kuilt --help`.
#include "cli/commands.hpp"

int main(int argc, char** argv) {
  return kuilt::cli::run_command_line(kuilt::cli::command_line(), argc, argv);
}
