#include "app/cli_page.h"

#include <vector>

#include <CLI/CLI.hpp>
#include <fmt/core.h>

namespace weir::app {
namespace {

struct Command {
  std::string path;  ///< "topic create"; empty: the root
  const CLI::App* app = nullptr;
};

void collect(const CLI::App& app, const std::string& path, std::vector<Command>& into) {
  into.push_back({.path = path, .app = &app});
  for (const CLI::App* sub : app.get_subcommands([](const CLI::App*) { return true; }))
    collect(*sub, path.empty() ? sub->get_name() : path + " " + sub->get_name(), into);
}

std::vector<Command> commands(const CLI::App& root) {
  std::vector<Command> all;
  collect(root, "", all);
  return all;
}

std::vector<const CLI::Option*> named_options(const CLI::App& app) {
  return app.get_options([](const CLI::Option* option) { return option->nonpositional(); });
}
bool is_flag(const CLI::Option* option) { return option->get_items_expected_max() == 0; }

std::vector<std::string> names_of(const CLI::Option* option) {
  std::vector<std::string> names;
  for (const std::string& name : option->get_snames()) names.push_back("-" + name);
  for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
  return names;
}

std::vector<std::string> sub_names(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::App* sub : app.get_subcommands([](const CLI::App*) { return true; })) names.push_back(sub->get_name());
  return names;
}

std::string join(const std::vector<std::string>& words, std::string_view between) {
  std::string out;
  for (const std::string& word : words) out += (out.empty() ? "" : std::string(between)) + word;
  return out;
}

std::string usage(const Command& command) {
  std::string line = "weir " + command.path;
  for (const CLI::Option* option : command.app->get_options([](const CLI::Option* o) { return o->get_positional(); })) {
    const std::string name = option->get_name(true);
    const bool many = option->get_items_expected_max() > 1;
    line +=
        fmt::format(" {}{}{}{}", option->get_required() ? "" : "[", name, many ? "..." : "", option->get_required() ? "" : "]");
  }
  return line;
}

// Words that a completion offers behind `path`.
std::string words_behind(const Command& command) {
  std::vector<std::string> words = sub_names(*command.app);
  for (const CLI::Option* option : named_options(*command.app)) {
    for (const std::string& name : names_of(option)) words.push_back(name);
  }
  return join(words, " ");
}

std::string value_options(const Command& command) {
  std::vector<std::string> names;
  for (const CLI::Option* option : named_options(*command.app)) {
    if (is_flag(option)) continue;
    for (const std::string& name : names_of(option)) names.push_back(name);
  }
  return join(names, "|");
}

std::string single_quoted(std::string_view text) {
  std::string out = "'";
  for (const char c : text) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return out + "'";
}

// One function for bash and zsh (which runs bash completions): walks the words to find the command that they are in.
std::string bash_script(const CLI::App& root) {
  std::string tree;
  std::string values;
  for (const Command& command : commands(root)) {
    tree += fmt::format("    '{}') words='{}' ;;\n", command.path, words_behind(command));
    if (const std::string options = value_options(command); !options.empty())
      values += fmt::format("    '{}') case $2 in {}) return 0 ;; esac ;;\n", command.path, options);
  }
  return "# Completion of weir. In bash: source <(weir completion bash)\n"
         "__weir_takes_value() {\n  case $1 in\n" +
         values +
         "  esac\n  return 1\n}\n"
         "__weir_words() {\n  local words=\n  case $1 in\n" +
         tree +
         "  esac\n  printf '%s' \"$words\"\n}\n"
         "__weir() {\n"
         "  local current=${COMP_WORDS[COMP_CWORD]} path= word i skip=\n"
         "  for ((i = 1; i < COMP_CWORD; i++)); do\n"
         "    word=${COMP_WORDS[i]}\n"
         "    if [ -n \"$skip\" ]; then skip=; continue; fi\n"
         "    case $word in\n"
         "      -*) __weir_takes_value \"$path\" \"$word\" && skip=1 ;;\n"
         "      *) case \" $(__weir_words \"$path\") \" in *\" $word \"*) path=${path:+$path }$word ;; esac ;;\n"
         "    esac\n"
         "  done\n"
         "  COMPREPLY=()\n"
         "  if [ -n \"$skip\" ]; then\n"
         "    case ${COMP_WORDS[COMP_CWORD-1]} in\n"
         "      --format) COMPREPLY=($(compgen -W 'text json' -- \"$current\")) ;;\n"
         "      *) compopt -o default 2>/dev/null ;;\n"
         "    esac\n"
         "    return\n"
         "  fi\n"
         "  COMPREPLY=($(compgen -W \"$(__weir_words \"$path\")\" -- \"$current\"))\n"
         "}\n"
         "complete -o default -F __weir weir\n";
}

std::string zsh_script(const CLI::App& root) {
  return "#compdef weir\n# Completion of weir. In zsh: source <(weir completion zsh)\nautoload -U +X bashcompinit && "
         "bashcompinit\n" +
         bash_script(root);
}

std::string fish_script(const CLI::App& root) {
  std::string out =
      "# Completion of weir. In fish: weir completion fish | source\n"
      "function __weir_path_is\n"
      "  set -l words\n"
      "  for word in (commandline -opc)[2..-1]\n"
      "    string match -q -- '-*' $word; or set -a words $word\n"
      "  end\n"
      "  set -l wanted (string split -n ' ' -- $argv[1])\n"
      "  set -l depth (count $wanted)\n"
      "  test $depth -eq 0; and test (count $words) -eq 0; and return 0\n"
      "  test $depth -gt 0; and test (count $words) -ge $depth; and test \"$words[1..$depth]\" = \"$argv[1]\"\n"
      "end\n";
  for (const Command& command : commands(root)) {
    const std::string when = fmt::format("complete -c weir -n \"__weir_path_is '{}'\"", command.path);
    for (const CLI::App* sub : command.app->get_subcommands([](const CLI::App*) { return true; }))
      out += fmt::format("{} -f -a {} -d {}\n", when, sub->get_name(), single_quoted(sub->get_description()));
    for (const CLI::Option* option : named_options(*command.app)) {
      out += when;
      for (const std::string& name : option->get_lnames()) out += " -l " + name;
      for (const std::string& name : option->get_snames()) out += " -s " + name;
      out += fmt::format("{} -d {}\n", is_flag(option) ? "" : " -r", single_quoted(option->get_description()));
    }
  }
  return out;
}

}  // namespace

// What the help has no room for.
constexpr const char* page_words = R"md(
## Words that several commands share

**Places** (`consume -o`, `topic analyze -o`, one place in `group seek --to`):

| word | what |
|---|---|
| `start`, `end` | of each partition |
| `N`, `+N`, `-N` | offset N, N behind the start, N before the end |
| `A:B`, `:B` | from A up to and without B; `:end` is the end as it is now |
| `@TIME`, `@TIME:TIME`, `@TIME:LENGTH`, `@TIME:end` | the first record at or after the time, and so on |

A time is 13 digits (milliseconds), 9 or 10 digits (seconds), `2025-02-14`, `2025-02-14T10:00[:30[.250]][Z or +02:00]` (UTC without a
zone), or `-1h` for before now. A length is `90s`, `1h30m`, `2d`. kcat's `s@TIME` and `e@TIME` are understood too.

**Record formats** (`consume -f`, `produce -f`): `%t` topic, `%p` partition, `%o` offset, `%d` time, `%i` number of the record, `%k` key,
`%v` value, `%K` `%V` their sizes (-1: null), `%H` number of headers, `%h{%k=%v,}` each header, `%%` `%{` `%}`, `\n` `\t` `\r` `\0` `\xNN`.
Bytes take `{hex}`, `{base64}`, `{base64raw}`, `{unpack[<iq$]}`; numbers `{hex}`, `{big64}` to `{big8}`, `{little64}` to `{little8}`; times `{s}`,
`{iso}`, `{strftime[%F]}`. Reading, a size makes the key or value behind it so long; otherwise the text that follows ends it. So one format
copies a topic, whatever its records hold, and so does JSON:

```sh
weir consume a -e -f '%K{big32}%k%V{big32}%v' | weir produce b -f '%K{big32}%k%V{big32}%v'
weir consume a -e --format json | weir produce b -f json
```
)md";

std::string cli_page(const CLI::App& root) {
  std::string out =
      "# The weir command\n\n"
      "Made by `weir cli-page` from the same tree that is parsed; do not edit.\n\n"
      "Results go to standard output, as text (one title line, columns split by spaces, `-` for what is absent) or, with "
      "`--format json`,\n"
      "as JSON. Everything else goes to standard error. Exit codes: 0 done; 1 the broker or the input said no, for any one of "
      "the items\n"
      "asked for; 2 wrong usage; 10 (`cluster health`) unhealthy. Commands that destroy something ask, or take `-y`.\n";
  out += page_words;
  for (const Command& command : commands(root)) {
    if (command.path.empty() || command.app->get_require_subcommand_min() > 0) continue;
    out += fmt::format("\n## {}\n\n{}.\n", usage(command), command.app->get_description());
    std::string rows;
    for (const CLI::Option* option : command.app->get_options()) {
      const std::string names = option->nonpositional() ? join(names_of(option), ", ") : option->get_name(true);
      if (names == "-h, --help") continue;
      std::string about = option->get_description();
      if (const std::string value = option->get_default_str(); !value.empty()) about += fmt::format(" (default: {})", value);
      for (std::size_t at = about.find('|'); at != std::string::npos; at = about.find('|', at + 2)) about.insert(at, "\\");
      rows += fmt::format("| `{}`{} | {} |\n", names, is_flag(option) || !option->nonpositional() ? "" : " value", about);
    }
    if (!rows.empty()) out += "\n| option | what |\n|---|---|\n" + rows;
  }
  return out;
}

std::string completion_script(const CLI::App& root, std::string_view shell) {
  if (shell == "zsh") return zsh_script(root);
  if (shell == "fish") return fish_script(root);
  return bash_script(root);
}

}  // namespace weir::app
