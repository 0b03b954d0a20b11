#include "cuda/libraries.h"

#include <dlfcn.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

namespace optnet::cuda {
namespace {

namespace fs = std::filesystem;

/// One major version of a library, and what it needs: loaded before it from beside it, because the loader
/// alone would look for them elsewhere.
struct Release {
  const char* file;
  std::vector<const char*> companions;
};

struct Library {
  std::string name;
  std::string package;  ///< as pip, conda and apt spell it, but for what they put around it
  std::vector<Release> releases;
  /// Fills its part of the table; returns the first symbol that is missing, or null.
  const char* (*bind)(void* handle, Libraries& table);
  /// What the table then says of it.
  LibraryFile (*file)(const Libraries& table);
};

template <class Function>
void bind_symbol(void* handle, const char* symbol, Function& function, const char*& missing) {
  function = reinterpret_cast<Function>(dlsym(handle, symbol));
  if (!function && !missing) missing = symbol;
}

#define OPTNET_BIND(name, symbol) bind_symbol(handle, #symbol, table.name, missing);
#define OPTNET_BIND_DOUBLE(name, symbol) bind_symbol(handle, #symbol, table.routines_double.name, missing);
#define OPTNET_BIND_FLOAT(name, symbol) bind_symbol(handle, #symbol, table.routines_float.name, missing);

const char* bind_blas(void* handle, Libraries& table) {
  const char* missing = nullptr;
  OPTNET_CUBLAS_FUNCTIONS(OPTNET_BIND)
  OPTNET_CUBLAS_ROUTINES(OPTNET_BIND_DOUBLE, D)
  OPTNET_CUBLAS_ROUTINES(OPTNET_BIND_FLOAT, S)
  return missing;
}

const char* bind_solver(void* handle, Libraries& table) {
  const char* missing = nullptr;
  OPTNET_CUSOLVER_FUNCTIONS(OPTNET_BIND)
  OPTNET_CUSOLVER_ROUTINES(OPTNET_BIND_DOUBLE, D)
  OPTNET_CUSOLVER_ROUTINES(OPTNET_BIND_FLOAT, S)
  return missing;
}

/// The file that a function is in.
template <class Function>
std::string path_of(Function* function) {
  Dl_info info{};
  return dladdr(reinterpret_cast<const void*>(function), &info) && info.dli_fname ? info.dli_fname : "";
}

LibraryFile blas_file(const Libraries& table) {
  return {"cuBLAS", path_of(table.create_blas), library_version(table.get_blas_property)};
}

LibraryFile solver_file(const Libraries& table) {
  return {"cuSOLVER", path_of(table.create_solver), library_version(table.get_solver_property)};
}

Library blas() {
  return {"cuBLAS",
          "cublas",
          {{"libcublas.so.13", {"libcublasLt.so.13"}}, {"libcublas.so.12", {"libcublasLt.so.12"}}},
          bind_blas,
          blas_file};
}

Library solver() {  // whose own version is one behind CUDA's
  return {"cuSOLVER",
          "cusolver",
          {{"libcusolver.so.12",
            {"libnvJitLink.so.13", "libcublasLt.so.13", "libcublas.so.13", "libcusparse.so.12"}},
           {"libcusolver.so.11",
            {"libnvJitLink.so.12", "libcublasLt.so.12", "libcublas.so.12", "libcusparse.so.12"}}},
          bind_solver,
          solver_file};
}

// ---- where to look
// ------------------------------------------------------------------------------------------------

/// What a message calls it, and its folders (or single files), in order. An empty folder is the loader's
/// path.
struct Place {
  std::string name;
  std::vector<fs::path> folders;
};

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value ? value : "";
}

void add_toolkit(const fs::path& root, Place& place) {
#ifdef __aarch64__
  const char* const target = "targets/sbsa-linux/lib";
#else
  const char* const target = "targets/x86_64-linux/lib";
#endif
  for (const char* folder : {"lib64", target, "lib"}) place.folders.push_back(root / folder);
}

/// pip's packages: one folder for all of CUDA 13, one for each library of CUDA 12.
void add_python(const fs::path& root, Place& place) {
  std::error_code none;
  for (fs::directory_iterator entry(root / "lib", none), end; !none && entry != end; entry.increment(none)) {
    if (!entry->path().filename().string().starts_with("python")) continue;
    for (const char* package : {"cu13", "cublas", "cusolver"}) {
      place.folders.push_back(entry->path() / "site-packages" / "nvidia" / package / "lib");
    }
  }
}

std::vector<Place> named_places(std::string_view list) {
  std::vector<Place> places;
  while (!list.empty()) {
    const std::string name(list.substr(0, list.find(':')));
    list.remove_prefix(std::min(list.size(), name.size() + 1));
    if (!name.empty()) places.push_back({name, {fs::absolute(name)}});
  }
  return places;
}

std::vector<Place> usual_places() {
  std::vector<Place> places{{"the loader's path", {""}}};
  for (const char* variable : {"CUDA_HOME", "CUDA_PATH"}) {
    if (const std::string root = environment(variable); !root.empty()) {
      add_toolkit(root, places.emplace_back(Place{root, {}}));
    }
  }
  add_toolkit("/usr/local/cuda", places.emplace_back(Place{"/usr/local/cuda", {}}));
  for (const char* variable : {"VIRTUAL_ENV", "CONDA_PREFIX"}) {
    if (const std::string root = environment(variable); !root.empty()) {
      Place& place = places.emplace_back(Place{root, {}});
      add_python(root, place);
      add_toolkit(root, place);
    }
  }
  return places;
}

std::vector<Place> places() {
  const std::string named = environment("OPTNET_CUDA_LIBRARIES");
  return named.empty() ? usual_places() : named_places(named);
}

// ---- loading
// ------------------------------------------------------------------------------------------------------

/// Open until it is destroyed, or for good. Symbols stay private to the library and to what needs it: another
/// addon in this process may bring CUDA's libraries in another version.
class Opened {
 public:
  explicit Opened(const fs::path& file) : handle_(dlopen(file.c_str(), RTLD_LAZY | RTLD_LOCAL)) {}
  Opened(Opened&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
  Opened& operator=(Opened&&) = delete;
  ~Opened() {
    if (handle_) dlclose(handle_);
  }
  void* get() const { return handle_; }
  void keep() { handle_ = nullptr; }

 private:
  void* handle_;
};

bool is_there(const fs::path& path) {
  std::error_code none;
  return fs::exists(path, none);
}

std::vector<Opened> open_companions(const Release& release, const fs::path& folder) {
  std::vector<Opened> opened;
  for (const fs::path file : release.companions) {
    for (const char* beside : {".", "../../nvjitlink/lib", "../../cublas/lib", "../../cusparse/lib"}) {
      if (is_there(folder / beside / file)) opened.emplace_back(folder / beside / file);
    }
  }
  return opened;
}

/// Tries one file. False, and perhaps a fault: why a file that is there does not serve.
bool load_file(const Library& library, const Release& release, const fs::path& file, Libraries& table,
               std::vector<std::string>& faults) {
  const bool by_loader = !file.has_parent_path();
  if (!by_loader && !is_there(file)) return false;
  std::vector<Opened> companions;
  if (!by_loader) companions = open_companions(release, file.parent_path());

  Opened opened(file);
  if (!opened.get()) {
    const char* const error = dlerror();
    const std::string fault = error ? error : file.string() + " cannot be opened";
    if (!by_loader || !fault.starts_with(file.string() + ": cannot open")) faults.push_back(fault);
    return false;
  }
  if (const char* missing = library.bind(opened.get(), table)) {
    faults.push_back(file.string() + " has no function " + missing);
    return false;
  }
  opened.keep();
  for (Opened& companion : companions) companion.keep();
  return true;
}

/// Tries one folder, or one file that the user named.
bool load_from(const Library& library, const fs::path& where, Libraries& table,
               std::vector<std::string>& faults) {
  std::error_code none;
  const bool is_file = fs::is_regular_file(where, none);
  for (const Release& release : library.releases) {
    if (!is_file) {
      if (load_file(library, release, where / release.file, table, faults)) return true;
    } else if (where.filename().string().starts_with(release.file)) {
      return load_file(library, release, where, table, faults);
    }
  }
  return false;
}

template <class Range, class Name>
std::string join(const Range& range, const char* separator, Name name) {
  std::string text;
  for (const auto& item : range) text += (text.empty() ? "" : separator) + std::string(name(item));
  return text;
}

/// Empty, or one sentence.
std::string load(const Library& library, const std::vector<Place>& places, Libraries& table) {
  std::vector<std::string> faults;
  for (const Place& place : places) {
    for (const fs::path& folder : place.folders) {
      if (load_from(library, folder, table, faults)) return "";
    }
  }
  const std::string why =
      faults.empty() ? "looked for " +
                           join(library.releases, ", ", [](const Release& release) { return release.file; }) +
                           " in " + join(places, ", ", [](const Place& place) { return place.name; })
                     : join(faults, "; ", [](const std::string& fault) { return fault; });
  return library.name + " could not be loaded: " + why + "; install it with `pip install nvidia-" +
         library.package + "`, `conda install -c nvidia lib" + library.package + "` or `apt install lib" +
         library.package + "-13-0`, or name its folder in OPTNET_CUDA_LIBRARIES.";
}

}  // namespace

Failure load_libraries(std::shared_ptr<const Libraries>& out, std::vector<LibraryFile>* files) {
  const auto table = std::make_shared<Libraries>();
  const std::vector<Place> searched = places();
  std::string error;
  for (const Library& library : {blas(), solver()}) {
    const std::string sentence = load(library, searched, *table);
    if (!sentence.empty()) error += (error.empty() ? "" : " ") + sentence;
    if (sentence.empty() && files) files->push_back(library.file(*table));
  }
  if (error.empty()) {
    out = table;
    return {};
  }
  Failure failure{Failure::Code::kDevice};
  failure.message = error;
  return failure;
}

}  // namespace optnet::cuda
