// identity_check TUTTI FOLDER LAUNCHER…: every command that opens a model says in every object it
// writes which model was loaded, by which devices and how many ranks, and obeys --expect. One
// table; FOLDER has the models of make_cli_models.sh, LAUNCHER starts two ranks.
#include <fmt/format.h>
#include <sys/wait.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iostream>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

namespace {

using nlohmann::json;

constexpr int kRanks = 2;

// Where in an object a thing stands; "" where it need not.
struct Places {
  std::string name, fingerprint, dtype, parameters;
  std::string devices;  // names as detected, a list
  std::string ranks;    // as run: a number
  std::string job;      // as launch/job_facts.hpp writes it
};

const Places kRun = {.name = "/model/name",
                     .fingerprint = "/model/fingerprint",
                     .dtype = "/model/dtype",
                     .parameters = "/model/parameters",
                     .devices = "/devices",
                     .ranks = "/ranks",
                     .job = "/job"};
const Places kFile = {.name = "/name",
                      .fingerprint = "/fingerprint",
                      .dtype = "/dtype",
                      .parameters = "/parameters",
                      .devices = "",
                      .ranks = "",
                      .job = ""};

Places with(Places places, const std::function<void(Places&)>& change) {
  change(places);
  return places;
}

struct Row {
  std::string command;  // with MODEL, SOURCE and OUT for paths
  bool ranks;           // under the launcher
  std::string file;     // that holds the objects, in OUT; empty: standard output
  bool lines;           // an object each
  std::string each;     // an array in it, whose elements are looked at; "" itself
  Places places;
  int refused = 3;  // exit code of a wrong --expect; 0: opens no model
};

std::vector<Row> rows() {
  const std::string few = " --prompt-tokens 4 --new-tokens 4 --repeats 1 --quiet";
  const std::string load = " --requests 2 --input-tokens 4 --output-tokens 4 --repeats 1 --quiet";
  const Places doctor = with(kRun, [](Places& p) { p.ranks = "/world"; });
  const Places plan = with(kRun, [](Places& p) { p.devices = p.ranks = p.job = ""; });
  const Places answer = with(kRun, [](Places& p) { p.job = ""; });
  const Places world = with(kRun, [](Places& p) { p.devices = "", p.ranks = "/world"; });
  const Places row = with(kRun, [](Places& p) { p.job = p.ranks = ""; });  // 1, then 2
  const Places exchange = {.name = "",
                           .fingerprint = "",
                           .dtype = "",
                           .parameters = "",
                           .devices = "/devices",
                           .ranks = "/ranks",
                           .job = "/job"};
  const Places record = {.name = "/tutti/name",
                         .fingerprint = "/tutti/model",
                         .dtype = "/tutti/dtype",
                         .parameters = "/tutti/parameters",
                         .devices = "/tutti/devices",
                         .ranks = "/tutti/ranks",
                         .job = ""};
  const std::string batch =
      "batch MODEL -i tests/launch/batch_requests.jsonl -o OUT/answers --overwrite --report "
      "OUT/report --quiet";
  const std::string scaling = "bench scaling MODEL --out OUT/scaling --json" + few +
                              " --requests 2 --input-tokens 4 --output-tokens 4";
  return {
      {"import SOURCE -o OUT/again.h5 --name tiny --force --json --quiet", false, "", false, "",
       kFile},
      {"inspect MODEL --json", false, "", false, "", kFile},
      {"plan MODEL --gpu h200 --ranks 1 --json", false, "", false, "", plan},
      {"plan MODEL --json", false, "", false, "", plan},
      {"generate MODEL --prompt a --prompt b --max-tokens 2 --json --quiet", true, "", true, "",
       answer},
      {batch, true, "answers", true, "", record},
      {batch, true, "report", false, "", kRun},
      {"bench latency MODEL --json" + few, true, "", false, "", kRun},
      {"bench throughput MODEL --json" + load, true, "", false, "", kRun},
      {"bench load MODEL --json --repeats 1 --quiet", true, "", false, "", kRun},
      {"bench collectives --json --device host --quiet", true, "", false, "", exchange, 0},
      {scaling, true, "", false, "", world},
      {scaling, true, "scaling/scaling.json", false, "/rows", row},
      {"doctor MODEL --json --quiet --stage-seconds 120", true, "", false, "", doctor, 5},
  };
}

struct Ended {
  int code = 0;
  std::string out;
};

Ended run(const std::string& command) {
  static std::map<std::string, Ended> known;  // two rows may look at one run
  if (const auto found = known.find(command); found != known.end()) {
    return found->second;
  }
  std::cout << "$ " << command << std::endl;
  FILE* pipe = ::popen((command + " </dev/null").c_str(), "r");
  Ended ended;
  char buffer[4096];
  while (std::size_t count = std::fread(buffer, 1, sizeof buffer, pipe)) {
    ended.out.append(buffer, count);
  }
  const int status = ::pclose(pipe);
  ended.code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  return known[command] = ended;
}

std::string read_file(const std::filesystem::path& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

class Check {
 public:
  Check(std::string tutti, std::filesystem::path models, std::string launcher)
      : tutti_(std::move(tutti)), models_(std::move(models)), launcher_(std::move(launcher)) {
    std::filesystem::create_directories(out_);
    model_ = json::parse(run(tutti_ + " inspect " + (models_ / "m.h5").string() + " --json").out);
  }

  void row(const Row& row) {
    const std::string print = model_["fingerprint"];
    const std::string command = filled(row);
    if (row.refused != 0) {
      const Ended refused = run(command + " --expect 00000000 2>&1");
      want(refused.code == row.refused, command, "refuses another model", refused.out);
      want(refused.out.find(print) != std::string::npos, command, "names what it found",
           refused.out);
    }
    const Ended ended = run(command + (row.refused != 0 ? " --expect " + print.substr(0, 12) : ""));
    want(ended.code == 0, command, "takes the model that it expects", ended.out);
    const std::string text = row.file.empty() ? ended.out : read_file(out_ / row.file);
    const std::vector<json> objects = objects_of(text, row);
    want(!objects.empty(), command, "writes an object", text);
    for (const json& object : objects) {
      look_at(object, row.places, command);
    }
  }

  bool good() const { return good_; }

 private:
  std::string filled(const Row& row) const {
    std::string command = row.ranks ? launcher_ + " " : "";
    std::stringstream words(tutti_ + " " + row.command);
    for (std::string word; words >> word;) {
      if (word == "MODEL") {
        word = (models_ / "m.h5").string();
      } else if (word == "SOURCE") {
        word = (models_ / "source").string();
      } else if (word.starts_with("OUT/")) {
        word = (out_ / word.substr(4)).string();
      }
      command += word + " ";
    }
    return command;
  }

  static std::vector<json> objects_of(const std::string& text, const Row& row) {
    std::vector<json> objects;
    std::stringstream stream(text);
    if (row.lines) {
      for (std::string line; std::getline(stream, line);) {
        objects.push_back(json::parse(line));
      }
    } else if (!text.empty()) {
      objects.push_back(json::parse(text));
    }
    if (!row.each.empty()) {
      const json elements = objects.at(0).at(json::json_pointer(row.each));
      objects.assign(elements.begin(), elements.end());
    }
    return objects;
  }

  void look_at(const json& object, const Places& places, const std::string& command) {
    const auto equal = [&](const std::string& place, const json& wanted) {
      if (!place.empty()) {
        const json::json_pointer pointer(place);
        want(object.contains(pointer) && object.at(pointer) == wanted, command,
             fmt::format("says {} at {}", wanted.dump(), place), object.dump());
      }
    };
    equal(places.name, model_["name"]);
    equal(places.fingerprint, model_["fingerprint"]);
    equal(places.dtype, model_["dtype"]);
    equal(places.parameters, model_["parameters"]);
    equal(places.devices, json::array({"host"}));  // GPUs are hidden
    equal(places.ranks, kRanks);
    if (!places.job.empty()) {
      equal(places.job + "/ranks/1/device", "host");
      equal(places.job + "/scheduler/job", 4711);
      equal(places.job + "/scheduler/array_index", 3);
      equal(places.job + "/scheduler/restarts", 2);
      equal(places.job + "/scheduler/nodes", "n[1-2]");
      equal(places.job + "/ranks/1/rank", 1);
      for (const char* there : {"/libraries/tutti", "/libraries/mpi", "/libraries/hdf5",
                                "/ranks/1/host", "/ranks/1/cpus", "/startup_seconds"}) {
        const json::json_pointer pointer(places.job + there);
        want(object.contains(pointer) && !object.at(pointer).is_null(), command,
             fmt::format("has {}", pointer.to_string()), object.dump());
      }
    }
  }

  void want(bool so, const std::string& command, const std::string& what, const std::string& text) {
    if (!so) {
      std::cout << "WRONG: wanted that it " << what << ": " << command << "\n  " << text
                << std::endl;
      good_ = false;
    }
  }

  std::string tutti_;
  std::filesystem::path models_;
  std::string launcher_;
  std::filesystem::path out_ = models_ / "identity";
  json model_;
  bool good_ = true;
};

}  // namespace

int main(int argc, char** argv) {
  if (argc < 4) {
    std::cout << "identity_check TUTTI FOLDER LAUNCHER…\n";
    return 2;
  }
  std::string launcher;
  for (int i = 3; i < argc; ++i) {
    launcher += std::string(argv[i]) + " ";
  }
  // As in a job array that was requeued.
  for (const auto& [name, value] : {std::pair{"SLURM_JOB_ID", "4711"},
                                    {"SLURM_ARRAY_TASK_ID", "3"},
                                    {"SLURM_RESTART_COUNT", "2"},
                                    {"SLURM_JOB_NODELIST", "n[1-2]"},
                                    {"SLURM_JOB_END_TIME", "4102444800"}}) {
    ::setenv(name, value, 1);
  }
  Check check(argv[1], argv[2], launcher);
  for (const Row& row : rows()) {
    check.row(row);
  }
  return check.good() ? 0 : 1;
}
