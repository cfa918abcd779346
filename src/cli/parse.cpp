#include "parse.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include <algorithm>
#include <cstdio>
#include <list>

#include "sdsclip/base/error.h"
#include "sdsclip/base/text.h"
#include "version.h"

namespace sdsclip {
namespace {

/// What every command accepts, so that a script can give it to all, whether the command reads it or not.
struct UnreadOptions {
  ComputeOptions compute;
  std::int64_t seed = 0;
};

/// A command of the table. `arguments` are bound to `command`.
struct Entry {
  std::string name;
  std::string summary;
  Command command;
  UnreadOptions unread;
  std::vector<Argument> arguments;
  CLI::App* app = nullptr;
  std::vector<CLI::Option*> options;  // one per argument
};

void add_unread(Entry& entry) {
  CommandLine line;
  visit_compute(line, entry.unread.compute);
  line.count("seed", entry.unread.seed, {0}, "");
  for (Argument& argument : line.take()) {
    const bool is_read =
        std::any_of(entry.arguments.begin(), entry.arguments.end(),
                    [&](const Argument& own) { return own.description.name == argument.description.name; });
    argument.description.is_hidden = true;
    if (!is_read) entry.arguments.push_back(std::move(argument));
  }
}

template <typename Each>
void add_entry(std::list<Entry>& entries) {
  Entry& entry = entries.emplace_back();
  entry.name = Each::kName;
  entry.summary = Each::kSummary;
  Each& command = entry.command.emplace<Each>();
  CommandLine line;
  visit_options(line, command);
  line.option("quiet", command.quiet, "Show warnings and errors only, and no progress.");
  entry.arguments = line.take();
  add_unread(entry);
}

/// The table. An entry stays where it is: its arguments point into it.
template <typename... Each>
std::list<Entry> entries_of(const std::variant<Each...>*) {
  std::list<Entry> entries;
  (add_entry<Each>(entries), ...);
  return entries;
}

std::string placeholder(const ArgumentDescription& argument) {
  if (!argument.choices.empty()) return "{" + join(argument.choices, ",") + "}";
  if (argument.kind.starts_with("integer")) return "N";
  return argument.kind == "number" ? "X" : "TEXT";
}

/// Breaks lines at spaces, so that `--help` fits 80 columns.
std::string wrapped(const std::string& text) {
  constexpr std::size_t kColumns = 50;  // beside the names
  std::string lines;
  std::size_t column = 0;
  for (const std::string& word : split(text, ' ')) {
    const bool breaks = column > 0 && column + 1 + word.size() > kColumns;
    if (column > 0) lines += breaks ? '\n' : ' ';
    column = breaks || column == 0 ? word.size() : column + 1 + word.size();
    lines += word;
  }
  return lines;
}

/// The text of an argument in `--help`.
std::string help_text(const ArgumentDescription& argument) {
  std::string text = argument.doc;
  if (argument.is_required && !argument.is_positional) text += " Required.";
  if (!argument.default_value.empty()) text += fmt::format(" Default: {}.", argument.default_value);
  if (!argument.needs.empty()) text += fmt::format(" Needs {}.", argument.needs);
  return wrapped(text);
}

CLI::Option* add_argument(CLI::App& app, const ArgumentDescription& argument) {
  const std::string names =
      argument.short_name.empty() ? argument.name : argument.short_name + "," + argument.name;
  const std::string text = help_text(argument);
  if (argument.values == 0) return app.add_flag(names, text);
  // The values are read once the line is whole, in the order of the arguments, not in that of the line.
  CLI::Option* option = app.add_option(
      names, [](const CLI::results_t&) { return true; }, text);
  std::string words = placeholder(argument);
  if (argument.is_repeated) {
    option->expected(CLI::detail::expected_max_vector_size)->take_all();
    words += "...";
  } else if (argument.values > 1) {
    option->expected(argument.values);
    words += " " + words;
  }
  if (!argument.is_positional) option->option_text(words);
  return option->required(argument.is_required);
}

/// The commands of CLI11 with that name: none or one.
std::vector<CLI::App*> find_apps(CLI::App& app, const std::string& name) {
  return app.get_subcommands([&](const CLI::App* each) { return each->get_name() == name; });
}

/// The CLI11 command of an entry; `bundle verify` is one inside `bundle`.
CLI::App* add_app(CLI::App& app, const Entry& entry) {
  const std::size_t space = entry.name.find(' ');
  if (space == std::string::npos) return app.add_subcommand(entry.name, entry.summary);
  const std::string group = entry.name.substr(0, space);
  if (const std::vector<CLI::App*> found = find_apps(app, group); !found.empty()) {
    return found.front()->add_subcommand(entry.name.substr(space + 1), entry.summary);
  }
  CLI::App* parent =
      app.add_subcommand(group, group == "bundle" ? "Looks into a bundle." : "Looks into a data set.");
  parent->require_subcommand(1);
  return parent->add_subcommand(entry.name.substr(space + 1), entry.summary);
}

/// Sets the fields of the command that was given.
void apply(Entry& entry) {
  const auto is_given = [&](const std::string& name) {
    for (std::size_t i = 0; i < entry.arguments.size(); ++i) {
      if (entry.arguments[i].description.name == name) return entry.options[i]->count() > 0;
    }
    return false;
  };
  for (std::size_t i = 0; i < entry.arguments.size(); ++i) {
    const ArgumentDescription& argument = entry.arguments[i].description;
    if (entry.options[i]->count() == 0) continue;
    entry.arguments[i].set(entry.options[i]->results());
    if (!argument.needs.empty() && !is_given(argument.needs)) {
      throw usage_error("{} belongs to {}, which is not given", argument.name, argument.needs);
    }
  }
}

/// " bundle verify": the command that was given, as far as it is known.
std::string name_of(const CLI::App& app) {
  for (const CLI::App* command : app.get_subcommands()) return " " + command->get_name() + name_of(*command);
  return "";
}

/// What is wrong where the first word is no command; empty where it is one.
std::string command_hint(CLI::App& app, int argc, const char* const* argv) {
  if (argc < 2 || argv[1][0] == '-' || !find_apps(app, argv[1]).empty()) return "";
  std::vector<std::string> names;
  for (const CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; })) {
    names.push_back(command->get_name());
  }
  const std::string hint = did_you_mean(argv[1], names);
  return fmt::format("unknown command '{}'{}", argv[1],
                     hint.empty() ? ", expected one of " + join(names, ", ") : hint);
}

}  // namespace

std::vector<CommandDescription> describe_commands() {
  std::vector<CommandDescription> commands;
  for (const Entry& entry : entries_of(static_cast<Command*>(nullptr))) {
    commands.push_back({entry.name, entry.summary, {}});
    for (const Argument& argument : entry.arguments)
      commands.back().arguments.push_back(argument.description);
  }
  return commands;
}

ParsedCommand parse_command(int argc, const char* const* argv) {
  CLI::App app(
      "Fine-tunes CLIP with knowledge distilled from a text-to-image diffusion model, and evaluates the "
      "result.",
      "sdsclip");
  app.set_version_flag("--version", "sdsclip " SDSCLIP_VERSION);
  app.require_subcommand(1);
  app.footer(
      "Exit codes: 0 done, 2 wrong usage or configuration, 3 bad input, 4 failed while running, "
      "130 interrupted with its state saved.");
  std::list<Entry> entries = entries_of(static_cast<Command*>(nullptr));
  for (Entry& entry : entries) {
    entry.app = add_app(app, entry);
    for (const Argument& argument : entry.arguments) {
      CLI::Option* option = add_argument(*entry.app, argument.description);
      if (argument.description.is_hidden) option->group("");
      entry.options.push_back(option);
    }
  }
  const auto refuse = [&](const std::string& what) {
    std::fprintf(stderr, "sdsclip: %s; see 'sdsclip%s --help'\n", terminal_text(what).c_str(),
                 name_of(app).c_str());
    return ParsedCommand{static_cast<int>(ExitCode::kUsage), {}};
  };
  try {
    app.parse(argc, argv);
    Entry& entry =
        *std::find_if(entries.begin(), entries.end(), [](const Entry& each) { return each.app->parsed(); });
    apply(entry);
    return {std::nullopt, std::move(entry.command)};
  } catch (const CLI::Success& help_or_version) {
    return {app.exit(help_or_version), {}};
  } catch (const CLI::ParseError& wrong) {
    const std::string hint = command_hint(app, argc, argv);
    return refuse(hint.empty() ? wrong.what() : hint);
  } catch (const Error& wrong) {
    return refuse(wrong.what());
  }
}

}  // namespace sdsclip
