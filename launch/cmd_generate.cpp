// tutti generate: prompts in, answers out.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <iostream>
#include <iterator>
#include <nlohmann/json.hpp>

#include "launch/answer_writer.hpp"
#include "launch/chat_loop.hpp"
#include "launch/commands.hpp"
#include "launch/generate_options.hpp"
#include "launch/launch_check.hpp"
#include "launch/output.hpp"
#include "launch/prompt_encoder.hpp"
#include "launch/terminal.hpp"

namespace tutti {
namespace {

// Requests whose pages are there at the same time; more wait their turn.
constexpr std::size_t kMostAtOnce = 16;
constexpr std::int64_t kChatContext = 8192;

// `echo` and editors put them there, nobody means them.
std::string without_last_newlines(std::string text) {
  while (text.ends_with('\n')) {
    text.pop_back();
  }
  return text;
}

std::string read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::string text;
  std::array<char, 4096> chunk;
  do {
    file.read(chunk.data(), chunk.size());
    text.append(chunk.data(), static_cast<std::size_t>(file.gcount()));
  } while (file);
  if (!file.eof() || file.bad()) {
    throw ConfigError(fmt::format("cannot read the prompt file {}: wanted a readable file", path));
  }
  return without_last_newlines(text);
}

std::string read_standard_input() {
  return without_last_newlines({std::istreambuf_iterator<char>(std::cin.rdbuf()), {}});
}

std::vector<std::string> gather_prompts(const GenerateOptions& options) {
  std::vector<std::string> prompts = options.prompts;
  for (const std::string& path : options.prompt_files) {
    prompts.push_back(read_file(path));
  }
  if (prompts.empty()) {
    prompts.push_back(read_standard_input());
  }
  return prompts;
}

PromptEncoder make_encoder(const Session& session, const GenerateOptions& options,
                           bool interactive) {
  const bool chat =
      options.chat == ChatMode::on || (options.chat == ChatMode::automatic && interactive);
  if (!chat) {
    return PromptEncoder(session.tokenizer());
  }
  return {session.tokenizer(),
          options.chat_format.empty()
              ? ChatFormat::detect(session.model_to_run().tokenizer_assets())
              : ChatFormat::by_name(options.chat_format),
          options.system};
}

std::vector<Request> make_requests(const Session& session, const GenerateOptions& options,
                                   const PromptEncoder& encoder) {
  const std::vector<std::string> prompts = gather_prompts(options);
  std::vector<Request> requests;
  for (std::size_t i = 0; i < prompts.size(); ++i) {
    Request request{
        .id = i, .stream = i, .prompt = encoder.encode(prompts[i]), .options = options.sampling};
    require_room(prompts.size() == 1 ? "the prompt" : fmt::format("prompt {}", i + 1),
                 request.prompt.size(), session.context());
    const std::int64_t room = session.context() - std::ssize(request.prompt);
    request.options.max_tokens =
        static_cast<int>(std::min<std::int64_t>(request.options.max_tokens, room));
    if (!request.options.ignore_eos) {
      request.options.stop_ids = encoder.stop_ids();
    }
    requests.push_back(std::move(request));
  }
  return requests;
}

// Tokens of those requests that are longest, as many as run at the same time.
std::int64_t kv_tokens(const std::vector<Request>& requests) {
  std::vector<std::int64_t> lengths;
  lengths.reserve(requests.size());
  for (const Request& request : requests) {
    lengths.push_back(std::ssize(request.prompt) + request.options.max_tokens);
  }
  std::sort(lengths.rbegin(), lengths.rend());
  lengths.resize(std::min(lengths.size(), kMostAtOnce));
  std::int64_t sum = 0;
  for (const std::int64_t length : lengths) {
    sum += length;
  }
  return sum;
}

// In every line of --json; who computed on which GPU is too long for that.
nlohmann::json about(const Session& session) {
  nlohmann::json object = run_json(session.facts());
  object["scheduler"] = object["job"]["scheduler"];
  object.erase("job");
  return object;
}

AnswerWriter make_writer(const Session& session, const GenerateOptions& options) {
  return {options.json ? AnswerStyle::json : AnswerStyle::text, about(session),
          [&session](TokenId id) { return session.tokenizer().token_text(id); }, write_result};
}

void answer_prompts(Session& session, const GenerateOptions& options) {
  std::vector<Request> requests;
  session.on_root(
      [&] { requests = make_requests(session, options, make_encoder(session, options, false)); });
  const std::int64_t tokens = from_root(session.control(), kv_tokens(requests));
  session.load(tokens, static_cast<int>(kMostAtOnce));
  session.serve([&](Engine& engine) {
    AnswerWriter writer = make_writer(session, options);
    std::vector<std::vector<TokenId>> prompts;
    for (const Request& request : requests) {
      engine.submit(request);
      prompts.push_back(request.prompt);
    }
    writer.expect(std::move(prompts), 0);
    engine.run_until_idle([&](const TokenEvent& event) { writer.hear(event); });
    if (!options.session.messages.quiet) {
      write_message(summary_of(writer.answers()));
    }
  });
}

void chat(Session& session, const GenerateOptions& options) {
  std::optional<PromptEncoder> encoder;
  session.on_root([&] { encoder.emplace(make_encoder(session, options, true)); });
  const std::int64_t context =
      options.session.context.value_or(std::min<std::int64_t>(kChatContext, session.context()));
  session.load(context, 1);
  session.serve([&](Engine& engine) {
    AnswerWriter writer = make_writer(session, options);
    run_chat_loop(engine, *encoder, writer,
                  {.sampling = options.sampling,
                   .context = context,
                   .greet = !options.session.messages.quiet});
  });
}

ExitCode run(const MpiSession& mpi, const ParsedOptions& parsed) {
  const GenerateOptions options = generate_options(parsed);
  require_one_world(mpi, parsed.flag("alone"));
  Session session(mpi, options.session);
  const bool no_prompt = options.prompts.empty() && options.prompt_files.empty();
  const bool person = session.root() && no_prompt && person_looks_on(look_at_stream(STDIN_FILENO));
  const bool interactive = from_root(session.control(), options.interactive || person ? 1 : 0) != 0;
  if (interactive) {
    chat(session, options);
  } else {
    answer_prompts(session, options);
  }
  session.close();
  return ExitCode::fine;
}

}  // namespace

Command generate_command() {
  return {.spec = generate_spec(), .run = run};
}

}  // namespace tutti
