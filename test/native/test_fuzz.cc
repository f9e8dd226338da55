// Changed files and random images: each is accepted or refused, and nothing outside of its bytes is read or written.
// The build with AddressSanitizer finds what the other one does not notice. PI05_FUZZ=N: cases of each test, PI05_SEED:
// where they start.
#include <cstdlib>
#include <limits>
#include <random>

#include "check.h"
#include "fixtures.h"
#include "pi05/camera_image.h"
#include "pi05/fingerprint.h"
#include "pi05/image_file.h"
#include "scratch.h"

namespace {

using Bytes = std::vector<uint8_t>;

int64_t setting(const char* name, int64_t otherwise) {
  const char* text = std::getenv(name);
  return text ? std::atoll(text) : otherwise;
}
int64_t cases() { return setting("PI05_FUZZ", 10'000); }

class Random {
 public:
  explicit Random(uint64_t stream) : engine_(static_cast<uint64_t>(setting("PI05_SEED", 1)) * 1'000'003 + stream) {}
  // From 0 to limit - 1; 0 for a limit of 0.
  size_t below(size_t limit) { return limit == 0 ? 0 : static_cast<size_t>(engine_() % limit); }
  template <typename Items>
  auto of(const Items& items) {
    return items[below(std::size(items))];
  }

 private:
  std::mt19937_64 engine_;
};

// Exactly the bytes: reading one more is noticed by AddressSanitizer.
Bytes exact(const Bytes& bytes) {
  Bytes copy(bytes);
  copy.shrink_to_fit();
  return copy;
}

constexpr uint8_t kInteresting[] = {0,    1,    2,    0x7f, 0x80, 0xc0, 0xc2, 0xc4,
                                    0xd0, 0xd8, 0xd9, 0xda, 0xdd, 0xe0, 0xfe, 0xff};

Bytes changed(Bytes bytes, Random& random) {
  for (size_t i = random.below(4) + 1; i > 0 && !bytes.empty(); i--) {
    const size_t at = random.below(bytes.size());
    const auto place = bytes.begin() + static_cast<std::ptrdiff_t>(at);
    switch (random.below(7)) {
      case 0:
        bytes[at] = static_cast<uint8_t>(bytes[at] ^ 1u << random.below(8));
        break;
      case 1:
        bytes[at] = random.of(kInteresting);
        break;
      case 2:
        bytes.resize(at);
        break;
      case 3:
        bytes.erase(place, place + static_cast<std::ptrdiff_t>(std::min(bytes.size() - at, 1 + random.below(8))));
        break;
      case 4:
        bytes.insert(place, 1 + random.below(8), random.of(kInteresting));
        break;
      case 5: {
        const size_t from = random.below(bytes.size());
        std::memmove(&bytes[at], &bytes[from], std::min(bytes.size() - std::max(at, from), 1 + random.below(32)));
        break;
      }
      default: {
        const std::string digits =
            random.of(std::vector<std::string>{"0", "-1", "1e400", "9007199254740993", "18446744073709551616"});
        bytes.insert(place, digits.begin(), digits.end());
      }
    }
  }
  return bytes;
}

Bytes read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return Bytes(std::istreambuf_iterator<char>(file), {});
}

std::vector<Bytes> image_files(const std::string& extension) {
  std::vector<Bytes> files;
  for (const auto& entry : std::filesystem::directory_iterator(fixtures::path("../images")))
    if (entry.path().extension() == extension) files.push_back(read_file(entry.path().string()));
  return files;
}

void fuzz_image_files(const std::string& extension, uint64_t stream) {
  const std::vector<Bytes> files = image_files(extension);
  CHECK(!files.empty());
  Random random(stream);
  int64_t complete = 0, damaged = 0, refused = 0;
  for (const Bytes& file : files) {
    pi05_image_file out{};
    CHECK(pi05_check_image_file(file.data(), static_cast<int64_t>(file.size()), &out) == PI05_OK);
    CHECK(out.damage[0] == 0 && out.width == 28 && out.height == 20);
  }
  for (int64_t i = 0; i < cases(); i++) {
    const Bytes bytes = exact(changed(random.of(files), random));
    pi05_image_file out{};
    const pi05_status status = pi05_check_image_file(bytes.data(), static_cast<int64_t>(bytes.size()), &out);
    if (status != PI05_OK) {
      refused++;
      if (status != PI05_INVALID_ARGUMENT) CHECK(status == PI05_INVALID_ARGUMENT);
      continue;
    }
    if (std::memchr(out.damage, 0, sizeof(out.damage)) == nullptr || out.width < 0 || out.height < 0)
      CHECK(!"a sentence with an end, and a size");
    if (out.damage[0] == 0 && (out.width == 0 || out.height == 0)) CHECK(!"a complete image has a size");
    (out.damage[0] ? damaged : complete)++;
  }
  std::printf("       %s: %lld complete, %lld damaged, %lld refused\n", extension.c_str(),
              static_cast<long long>(complete), static_cast<long long>(damaged), static_cast<long long>(refused));
  CHECK(complete > 0 && damaged > cases() / 10);
}

// Extreme values too, which no image has.
int32_t random_side(Random& random) {
  constexpr int32_t kExtreme[] = {
      -1, 0, 1, 2, 3, 8192, 65536, std::numeric_limits<int32_t>::max(), std::numeric_limits<int32_t>::min()};
  return random.below(8) == 0 ? random.of(kExtreme) : static_cast<int32_t>(1 + random.below(40));
}

int64_t random_step(Random& random, int64_t row) {
  constexpr int64_t kExtreme[] = {-1, 0, 1, int64_t{1} << 31, int64_t{1} << 62, std::numeric_limits<int64_t>::max()};
  return random.below(8) == 0 ? random.of(kExtreme)
                              : row + static_cast<int64_t>(random.below(3)) - (random.below(8) == 0);
}

// Random bytes, about as many as an image of this size has.
Bytes some_bytes(Random& random, int64_t wanted) {
  const int64_t size = std::clamp<int64_t>(wanted, 1, 1 << 16) + static_cast<int64_t>(random.below(3)) - 1;
  Bytes bytes(static_cast<size_t>(std::max<int64_t>(1, size)));
  for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(random.below(256));
  return bytes;
}

int64_t product(int64_t a, int64_t b) {
  int64_t result = 0;
  return __builtin_mul_overflow(a, b, &result) ? std::numeric_limits<int64_t>::max() / 2 : result;
}

}  // namespace

TEST(changed_jpeg_files_are_complete_damaged_or_refused) { fuzz_image_files(".jpg", 1); }
TEST(changed_png_files_are_complete_damaged_or_refused) { fuzz_image_files(".png", 2); }

TEST(camera_images_of_any_size_are_converted_within_their_bytes_or_refused) {
  Random random(3);
  int64_t converted = 0;
  for (int64_t i = 0; i < cases(); i++) {
    const auto layout = static_cast<pi05_layout>(random.below(13));
    pi05_camera_image image{
        nullptr, random_side(random), random_side(random), 0, layout, static_cast<int32_t>(random.below(2)), 0};
    const int64_t bytes_per_pixel[] = {2, 2, 1, 1, 1, 1, 1, 1, 6, 6, 8, 8, 1};
    image.step = random_step(random, product(image.width, bytes_per_pixel[layout]));
    const int64_t rows = layout == PI05_LAYOUT_NV12 || layout == PI05_LAYOUT_NV21
                             ? int64_t{image.height} + image.height / 2
                             : image.height;
    const Bytes data = some_bytes(random, product(image.step, rows));
    image.data = data.data();
    image.bytes = static_cast<int64_t>(data.size());
    const int64_t out_bytes = product(product(image.width, image.height), 3);
    // No more than this is written, if anything.
    Bytes rgb(out_bytes > 0 && out_bytes <= 1 << 20 ? static_cast<size_t>(out_bytes) : 1);
    converted += pi05_convert_to_rgb8(&image, rgb.data()) == PI05_OK;
  }
  std::printf("       %lld converted\n", static_cast<long long>(converted));
  CHECK(converted > cases() / 20 && converted < cases());
}

TEST(images_of_any_size_are_resized_and_hashed_within_their_bytes_or_refused) {
  Random random(4);
  int64_t resized = 0;
  for (int64_t i = 0; i < cases(); i++) {
    const auto pixels = static_cast<pi05_pixels>(random.below(6));
    const int64_t channels[] = {3, 3, 4, 4, 1, 1};
    pi05_image image{nullptr, random_side(random), random_side(random), 0, pixels, 0};
    image.step = random_step(random, product(image.width, channels[pixels]));
    const Bytes data = some_bytes(random, product(image.step, image.height));
    image.data = data.data();
    image.bytes = static_cast<int64_t>(data.size());
    constexpr int32_t kSize = 16;
    Bytes pillow(kSize * kSize * 3);
    std::vector<float> lerobot(kSize * kSize * 3);
    pi05_fingerprint fingerprint{};
    const bool is_valid = pi05_resize_pillow(&image, kSize, pillow.data()) == PI05_OK;
    if (is_valid != (pi05_resize_lerobot(&image, kSize, lerobot.data()) == PI05_OK)) CHECK(!"both resize it or none");
    pi05_get_fingerprint(&image, &fingerprint);
    resized += is_valid;
    for (const float value : lerobot)
      if (is_valid && !(value >= -1.001f && value <= 1.001f)) CHECK(!"a pixel from -1 to 1");
  }
  std::printf("       %lld resized\n", static_cast<long long>(resized));
  CHECK(resized > cases() / 20 && resized < cases());
}

TEST(changed_json_is_read_or_is_a_syntax_error) {
  Random random(5);
  const std::string text =
      R"({"a":[1,-2.5e3,0,true,false,null],"é":{"c":"\u00e9\ud83d\ude00\n"},"__metadata__":{"x":"y"}})";
  int64_t valid = 0;
  for (int64_t i = 0; i < cases(); i++) {
    const Bytes bytes = exact(changed(Bytes(text.begin(), text.end()), random));
    try {
      const pi05::Json json = pi05::Json::parse({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
      valid++;
      if (json.brief().size() > 200) CHECK(!"a brief text");
      if (const pi05::Json* list = json.find("a"))
        for (const pi05::Json& item : list->array())
          if (item.is_integer() && static_cast<double>(item.integer()) != item.number()) CHECK(!"an exact integer");
    } catch (const pi05::JsonError&) {
    }
  }
  std::printf("       %lld valid\n", static_cast<long long>(valid));
  CHECK(valid > cases() / 100 && valid < cases());
}

TEST(changed_safetensors_have_tensors_within_the_file_that_do_not_overlap_or_are_refused) {
  Random random(6);
  const scratch::Directory directory;
  const std::string path = directory.path + "/model.safetensors";
  const std::string header =
      R"({"__metadata__":{"format":"pt"},"w":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]},)"
      R"("b":{"dtype":"BF16","shape":[4],"data_offsets":[24,32]},"e":{"dtype":"U8","shape":[0],"data_offsets":[32,32]}})";
  const std::string file = scratch::framed(header, std::string(32, 'x'));
  int64_t accepted = 0;
  for (int64_t i = 0; i < cases(); i++) {
    const bool only_header = random.below(2) == 0;
    Bytes bytes;
    if (only_header) {
      const Bytes text = changed(Bytes(header.begin(), header.end()), random);
      const std::string framed = scratch::framed(std::string(text.begin(), text.end()), std::string(32, 'x'));
      bytes.assign(framed.begin(), framed.end());
    } else {
      bytes = changed(Bytes(file.begin(), file.end()), random);
    }
    directory.write("model.safetensors", std::string(bytes.begin(), bytes.end()));
    std::string problems;
    const pi05::Safetensors read = pi05::open_safetensors(path, problems);
    if (!problems.empty()) continue;
    accepted++;
    int64_t end = 0;
    for (const pi05::StoredTensor& tensor : read.tensors) {
      if (tensor.offset != end || tensor.bytes < 0) CHECK(!"one tensor after the other");
      end = tensor.offset + tensor.bytes;
      if (tensor.data + tensor.bytes > read.file->data() + read.file->size()) CHECK(!"within the file");
      volatile int64_t sum = 0;
      for (int64_t k = 0; k < tensor.bytes; k++) sum = sum + tensor.data[k];
    }
    if (read.tensors.size() > 0 &&
        read.tensors.back().data + read.tensors.back().bytes != read.file->data() + read.file->size())
      CHECK(!"all bytes of the file");
  }
  std::printf("       %lld accepted\n", static_cast<long long>(accepted));
  CHECK(accepted > 0 && accepted < cases());
}

RUN_TESTS()
