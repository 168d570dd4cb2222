// kuilt completion: the table of commands as scripts for shells.
#include <cstdio>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "cli/commands.hpp"
#include "cli/output.hpp"

namespace kuilt::cli {
namespace {

constexpr auto notes = R"(Examples:
  source <(kuilt completion bash)                               in this shell
  kuilt completion bash > /etc/bash_completion.d/kuilt          for all users (Debian)
  kuilt completion zsh > "${fpath[1]}/_kuilt"
  kuilt completion fish > ~/.config/fish/completions/kuilt.fish

Completes commands, flags, and the values that are known.)";

/// What may stand at one place of the table.
struct Place {
  std::string path;  ///< "kuilt secret new".
  const Command* command;
};

void gather(std::vector<Place>& places, const Command& command, const std::string& path) {
  places.push_back({path, &command});
  for (const Command& one : command.commands) gather(places, one, path + " " + one.name);
}

/// In single quotes, as all three shells read them.
std::string quoted(const std::string& text, const char* quote_inside) {
  std::string out = "'";
  for (const char c : text) {
    if (c == '\'') {
      out += quote_inside;
    } else {
      out += c;
    }
  }
  return out + "'";
}
std::string quoted(const std::string& text) { return quoted(text, R"('\'')"); }

/// The names by which a flag that wants a value can stand before it.
std::vector<std::string> names_of(const Flag& flag) {
  std::vector<std::string> names = {flag.name};
  if (flag.letter != 0) names.push_back(std::string("-") + flag.letter);
  return names;
}

/// The patterns of a `case`, as in 'kuilt propose --output' | 'kuilt propose -o'.
std::string patterns(const std::string& path, const Flag& flag) {
  std::vector<std::string> all;
  for (const std::string& name : names_of(flag)) all.push_back(quoted(path + " " + name));
  return joined(all, " | ");
}

/// The paths below kuilt as patterns of a `case`.
std::string all_paths(const std::vector<Place>& places) {
  std::vector<std::string> paths;
  for (const Place& one : places) {
    if (&one != &places.front()) paths.push_back(quoted(one.path));
  }
  return joined(paths, " | ");
}

// ---- bash

std::string bash_offer(const Value& value) {
  switch (value.offer) {
    case Offer::words: return "-W " + quoted(joined(value.words, " "));
    case Offer::files: return "-f";
    case Offer::folders: return "-d";
    case Offer::programs: return "-c";
    case Offer::nothing: break;
  }
  return "-W ''";
}

/// Arguments for `compgen` where no flag waits for its value.
std::string bash_words(const Command& command) {
  std::vector<std::string> words;
  for (const Command& one : command.commands) words.push_back(one.name);
  for (const Flag& one : command.flags) words.push_back(one.name);
  words.emplace_back("--help");
  for (const Argument& one : command.arguments) {
    words.insert(words.end(), one.value.words.begin(), one.value.words.end());
  }
  std::string out = "-W " + quoted(joined(words, " "));
  for (const Argument& one : command.arguments) {
    if (one.value.offer == Offer::files) out += " -f";
  }
  return out;
}

std::string bash_script(const std::vector<Place>& places) {
  std::string values;
  std::string words;
  std::string behind;
  for (const Place& place : places) {
    for (const Flag& flag : place.command->flags) {
      if (flag.value.kind == ValueKind::yes_no) continue;
      values +=
          "    " + patterns(place.path, flag) + ") offer=(" + bash_offer(flag.value) + ") ;;\n";
    }
    words += "      " + quoted(place.path) + ") offer=(" + bash_words(*place.command) + ") ;;\n";
    if (place.command->after_dashes) {
      behind += "      " + quoted(place.path) + ") offer=(" +
                bash_offer(place.command->after_dashes->value) + ") ;;\n";
    }
  }
  return R"(# bash completion of kuilt: source <(kuilt completion bash)
_kuilt() {
  local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]}
  local place=kuilt inside=yes behind= offer i
  # Bash takes "--flag=value" for three words.
  if [[ $word == = ]]; then
    word=
  elif [[ $before == = ]]; then
    before=${COMP_WORDS[COMP_CWORD - 2]}
  fi
  for ((i = 1; i < COMP_CWORD; i++)); do
    [[ ${COMP_WORDS[i]} == -- ]] && behind=yes
    [[ -n $inside ]] || continue
    case "$place ${COMP_WORDS[i]}" in
      )" +
         all_paths(places) + R"() place+=" ${COMP_WORDS[i]}" ;;
      *) inside= ;;
    esac
  done
  if [[ -n $behind ]]; then
    case $place in
)" + behind +
         R"(      *) offer=(-W '') ;;
    esac
    mapfile -t COMPREPLY < <(compgen "${offer[@]}" -- "$word")
    return
  fi
  case "$place $before" in
)" + values +
         R"(    *)
      case $place in
)" + words +
         R"(      esac
      ;;
  esac
  mapfile -t COMPREPLY < <(compgen "${offer[@]}" -- "$word")
}
complete -F _kuilt kuilt
)";
}

// ---- zsh

std::string zsh_offer(const Value& value) {
  switch (value.offer) {
    case Offer::words: {
      std::vector<std::string> words;
      for (const std::string& word : value.words) words.push_back(quoted(word));
      return "compadd -- " + joined(words, " ");
    }
    case Offer::files: return "_files";
    case Offer::folders: return "_files -/";
    case Offer::programs: return "_command_names";
    case Offer::nothing: break;
  }
  return "_message " + quoted(value.form);
}

/// 'NAME:EXPLANATION', as _describe wants it.
std::string zsh_row(const std::string& name, const std::string& help) {
  return quoted(name + ":" + help);
}

std::string zsh_script(const std::vector<Place>& places) {
  std::string values;
  std::string words;
  for (const Place& place : places) {
    words += "    " + quoted(place.path) + ")\n      known=(";
    for (const Command& one : place.command->commands) words += zsh_row(one.name, one.about) + " ";
    for (const Flag& flag : place.command->flags) {
      words += zsh_row(flag.name, flag.help) + " ";
      if (flag.value.kind == ValueKind::yes_no) continue;
      values +=
          "    " + patterns(place.path, flag) + ") " + zsh_offer(flag.value) + "; return ;;\n";
    }
    words += zsh_row("--help", "Print this, and end") + ")\n";
    for (const Argument& one : place.command->arguments) {
      if (one.value.offer != Offer::nothing) words += "      " + zsh_offer(one.value) + "\n";
    }
    words += "      ;;\n";
  }
  return R"(#compdef kuilt
# zsh completion of kuilt: kuilt completion zsh > "${fpath[1]}/_kuilt"
_kuilt() {
  local place=kuilt one
  local -a known
  for one in "${(@)words[2,CURRENT-1]}"; do
    case "$place $one" in
      )" +
         all_paths(places) + R"() place+=" $one" ;;
      *) break ;;
    esac
  done
  if (( ${words[(I)--]} > 0 && ${words[(I)--]} < CURRENT )); then
    _command_names
    return
  fi
  case "$place ${words[CURRENT-1]}" in
)" + values +
         R"(  esac
  case $place in
)" + words +
         R"(  esac
  _describe 'kuilt' known
}
if [[ $funcstack[1] == _kuilt ]]; then
  _kuilt "$@"
else
  compdef _kuilt kuilt
fi
)";
}

// ---- fish

std::string fish_quoted(const std::string& text) { return quoted(text, R"(\')"); }

std::string fish_value(const Value& value) {
  switch (value.offer) {
    case Offer::words: return " -x -a " + fish_quoted(joined(value.words, " "));
    case Offer::files: return " -r -F";
    case Offer::folders: return " -x -a '(__fish_complete_directories)'";
    case Offer::programs: return " -x -a '(__fish_complete_command)'";
    case Offer::nothing: break;
  }
  return " -x";
}

std::string fish_lines(const Place& place) {
  const std::string begin = "complete -c kuilt -n '__kuilt_is_at " + place.path + "'";
  std::string out;
  for (const Command& one : place.command->commands) {
    out += begin + " -a " + one.name + " -d " + fish_quoted(one.about) + "\n";
  }
  for (const Flag& flag : place.command->flags) {
    out += begin + " -l " + flag.key();
    if (flag.letter != 0) out += std::string(" -s ") + flag.letter;
    if (flag.value.kind != ValueKind::yes_no) out += fish_value(flag.value);
    out += " -d " + fish_quoted(flag.help) + "\n";
  }
  for (const Argument& one : place.command->arguments) {
    if (one.value.offer == Offer::words)
      out += begin + " -a " + fish_quoted(joined(one.value.words, " ")) + "\n";
    if (one.value.offer == Offer::files) out += begin + " -F\n";
  }
  return out;
}

std::string fish_script(const std::vector<Place>& places) {
  std::string lines;
  for (const Place& place : places) lines += fish_lines(place);
  std::vector<std::string> paths;
  for (const Place& one : places) {
    if (&one != &places.front()) paths.push_back(quoted(one.path));
  }
  return R"(# fish completion of kuilt: kuilt completion fish > ~/.config/fish/completions/kuilt.fish
function __kuilt_is_at
  set -l place kuilt
  for word in (commandline -opc)[2..-1]
    switch "$place $word"
      case )" +
         joined(paths, " ") + R"(
        set place "$place $word"
      case '*'
        break
    end
  end
  test "$place" = "$argv"
end
complete -c kuilt -f
complete -c kuilt -l help -s h -d 'Print this, and end'
)" + lines;
}

int print_script(const std::string& shell) {
  const Command root = command_line();
  std::vector<Place> places;
  gather(places, root, root.name);
  std::string script;
  if (shell == "bash") script = bash_script(places);
  if (shell == "zsh") script = zsh_script(places);
  if (shell == "fish") script = fish_script(places);
  std::fputs(script.c_str(), stdout);
  return 0;
}

}  // namespace

Command completion_command() {
  const auto shell = std::make_shared<std::string>();
  return {.name = "completion",
          .about = "A script that completes commands, flags and values in a shell",
          .notes = notes,
          .arguments = {{.name = "SHELL",
                         .value = one_of(*shell, {"bash", "zsh", "fish"}),
                         .help = "bash, zsh or fish"}},
          .run = [shell](Command&) { return print_script(*shell); }};
}

}  // namespace kuilt::cli
