#include <fmt/format.h>

#include <fstream>
#include <functional>
#include <nlohmann/json.hpp>
#include <opencv2/imgcodecs.hpp>

#include "captions.h"
#include "draw.h"
#include "sdsclip/base/error.h"
#include "sdsclip/base/files.h"
#include "sdsclip/data/synth.h"

namespace sdsclip {
namespace {

namespace fs = std::filesystem;
using nlohmann::ordered_json;
using synth::Relation;
using synth::Scene;
using synth::SceneObject;
using synth::Split;
using synth::Wording;

constexpr std::array kStraight = {Relation::kLeft, Relation::kRight, Relation::kAbove, Relation::kBelow};
constexpr std::array kDiagonal = {Relation::kAboveLeft, Relation::kAboveRight, Relation::kBelowLeft,
                                  Relation::kBelowRight};
constexpr std::array kAnd = {Relation::kAnd};
constexpr int kCaptionsAnImage = 5;  // as in COCO

/// What a part's writer needs: folder, split, and one random sequence per item.
struct PartContext {
  fs::path folder;
  Split split = Split::kTest;
  std::uint64_t seed = 0;

  [[nodiscard]] RandomSequence sequence(std::string_view part, std::int64_t item) const {
    const std::uint64_t stream = substream(stream_of(part), static_cast<std::uint64_t>(split));
    return {seed, substream(stream, static_cast<std::uint64_t>(item))};
  }
};

void write_png(const fs::path& path, const Scene& scene) {
  std::vector<std::uint8_t> pixels = synth::draw(scene);
  for (std::size_t i = 0; i + 2 < pixels.size(); i += 3)
    std::swap(pixels[i], pixels[i + 2]);  // OpenCV is BGR
  const cv::Mat image(synth::kImageSize, synth::kImageSize, CV_8UC3, pixels.data());
  std::vector<std::uint8_t> bytes;
  cv::imencode(".png", image, bytes);
  std::ofstream stream(path, std::ios::binary);
  stream.write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  stream.close();
  if (!stream) throw runtime_failure("{}: cannot write: is the disk full?", path.string());
}

void write_text(const fs::path& path, const std::string& text) {
  std::ofstream stream(path, std::ios::binary);
  stream << text;
  stream.close();
  if (!stream) throw runtime_failure("{}: cannot write: is the disk full?", path.string());
}

ordered_json scene_json(const Scene& scene) {
  ordered_json objects = ordered_json::array();
  for (const SceneObject& object : scene.objects) {
    objects.push_back({{"color", synth::kColours[static_cast<std::size_t>(object.colour)]},
                       {"shape", synth::kShapes[static_cast<std::size_t>(object.shape)]},
                       {"size", synth::kSizes[static_cast<std::size_t>(object.size)]},
                       {"x", object.x},
                       {"y", object.y}});
  }
  const bool pair = scene.objects.size() == 2;
  const bool canonical = pair && synth::is_canonical_binding(scene.objects[0], scene.objects[1]);
  return {{"background", synth::kBackgrounds[static_cast<std::size_t>(scene.background)]},
          {"objects", objects},
          {"relation", synth::relation_name(scene.relation)},
          {"binding", !pair       ? "none"
                      : canonical ? "canonical"
                                  : "swapped"}};
}

/// Draws a scene of the training mixture: one third single objects, two thirds pairs.
Scene draw_mixed(Split split, RandomSequence& random) {
  const double kind = random.uniform();
  if (kind < 0.35) return synth::draw_single(split, random);
  if (kind < 0.58) return synth::draw_pair(split, kAnd, random);
  if (kind < 0.86) return synth::draw_pair(split, kStraight, random);
  return synth::draw_pair(split, kDiagonal, random);
}

/// COCO captions: `annotations/captions_<name>.json` and `<name>/<12 digits>.png`. An image's `scene` says
/// what was drawn; readers of COCO files ignore it.
SynthPart write_coco(const PartContext& context, const std::string& name, std::int64_t count) {
  fs::create_directories(context.folder / "annotations");
  fs::create_directories(context.folder / name);
  ordered_json images = ordered_json::array();
  ordered_json annotations = ordered_json::array();
  for (std::int64_t i = 0; i < count; ++i) {
    RandomSequence random = context.sequence("synth/coco", i);
    const Scene scene = draw_mixed(context.split, random);
    const std::string file = fmt::format("{:012}.png", i + 1);
    write_png(context.folder / name / file, scene);
    images.push_back({{"id", i + 1},
                      {"file_name", file},
                      {"height", synth::kImageSize},
                      {"width", synth::kImageSize},
                      {"scene", scene_json(scene)}});
    for (int k = 0; k < kCaptionsAnImage; ++k) {
      annotations.push_back({{"image_id", i + 1},
                             {"id", i * kCaptionsAnImage + k + 1},
                             {"caption", synth::varied_caption(scene, random)}});
    }
  }
  const ordered_json file = {{"info", {{"description", "sdsclip shapes world"}, {"version", "1.0"}}},
                             {"images", std::move(images)},
                             {"annotations", std::move(annotations)},
                             {"licenses", ordered_json::array()}};
  write_text(context.folder / "annotations" / fmt::format("captions_{}.json", name), file.dump());
  return {name, count, count * kCaptionsAnImage};
}

/// One Winoground case: two scenes, two captions of the same words, and the benchmark's tags.
struct WinogroundCase {
  std::array<Scene, 2> scenes;
  std::array<std::string, 2> captions;
  std::string_view tag;
  std::string_view collapsed_tag;
  int main_predicates = 1;
};

WinogroundCase draw_winoground_case(std::int64_t index, Split split, RandomSequence& random) {
  WinogroundCase item;
  // Of every ten cases, six swap whole objects (two of them with two predicates), three swap colours, and one
  // swaps colours inside a spatial relation, so that both binding and place matter.
  const std::int64_t kind = index % 10;
  if (kind < 6) {
    const bool diagonal = kind >= 4;
    const Scene scene =
        diagonal ? synth::draw_pair(split, kDiagonal, random) : synth::draw_pair(split, kStraight, random);
    const Wording wording = synth::draw_wording(scene.relation, random);
    Scene reversed = synth::with_places_swapped(scene);
    std::swap(reversed.objects[0],
              reversed.objects[1]);  // told from the other object: the same relation words
    reversed.relation = scene.relation;
    item.scenes = {scene, reversed};
    item.captions = {synth::worded_caption(scene, wording), synth::worded_caption(reversed, wording)};
    item.tag = "Noun";
    item.collapsed_tag = "Object";
    item.main_predicates = diagonal ? 2 : 1;
  } else {
    const bool in_relation = kind == 9;
    const Scene scene =
        in_relation ? synth::draw_pair(split, kStraight, random) : synth::draw_pair(split, kAnd, random);
    Wording wording = synth::draw_wording(scene.relation, random);
    wording.sizes = false;  // the colours alone are exchanged
    const Scene swapped = synth::with_colours_swapped(scene);
    item.scenes = {scene, swapped};
    item.captions = {synth::worded_caption(scene, wording), synth::worded_caption(swapped, wording)};
    item.tag = in_relation ? "Adjective-Color, Spatial" : "Adjective-Color";
    item.collapsed_tag = in_relation ? "Both" : "Relation";
  }
  return item;
}

SynthPart write_winoground(const PartContext& context, std::int64_t count) {
  fs::create_directories(context.folder / "images");
  std::string lines;
  for (std::int64_t i = 0; i < count; ++i) {
    RandomSequence random = context.sequence("synth/winoground", i);
    const WinogroundCase item = draw_winoground_case(i, context.split, random);
    const std::array<std::string, 2> stems = {fmt::format("ex_{}_img_0", i), fmt::format("ex_{}_img_1", i)};
    for (std::size_t k = 0; k < 2; ++k)
      write_png(context.folder / "images" / (stems[k] + ".png"), item.scenes[k]);
    const ordered_json line = {{"id", i},
                               {"image_0", stems[0]},
                               {"image_1", stems[1]},
                               {"caption_0", item.captions[0]},
                               {"caption_1", item.captions[1]},
                               {"tag", item.tag},
                               {"secondary_tag", ""},
                               {"num_main_preds", item.main_predicates},
                               {"collapsed_tag", item.collapsed_tag}};
    lines += line.dump() + "\n";
  }
  write_text(context.folder / "examples.jsonl", lines);
  return {"winoground", 2 * count, count};
}

ordered_json boxed(const Scene& scene, const std::string& file) {
  const std::array<int, 4> box = synth::bounding_box(scene);
  return {
      {"image_path", file}, {"bbox_x", box[0]}, {"bbox_y", box[1]}, {"bbox_w", box[2]}, {"bbox_h", box[3]}};
}

SynthPart write_aro(const PartContext& context, std::int64_t count) {
  fs::create_directories(context.folder / "images");
  ordered_json relations = ordered_json::array();
  ordered_json attributions = ordered_json::array();
  for (std::int64_t i = 0; i < count; ++i) {
    RandomSequence random = context.sequence("synth/aro", i);
    const auto the = [](const SceneObject& object) { return synth::noun_phrase(object, false, true); };

    const Scene related = synth::draw_pair(context.split, kStraight, random);
    const std::string relation_file = fmt::format("{}.png", 2 * i);
    write_png(context.folder / "images" / relation_file, related);
    const std::string_view phrase = synth::relation_phrase(related.relation, 0);
    ordered_json relation = boxed(related, relation_file);
    relation["image_id"] = fmt::format("{}", 2 * i);
    relation["true_caption"] =
        fmt::format("{} is {} {}", the(related.objects[0]), phrase, the(related.objects[1]));
    relation["false_caption"] =
        fmt::format("{} is {} {}", the(related.objects[1]), phrase, the(related.objects[0]));
    relation["relation_name"] = phrase;
    relations.push_back(std::move(relation));

    const Scene bound = synth::draw_pair(context.split, kAnd, random);
    const Scene swapped = synth::with_colours_swapped(bound);
    const std::string attribution_file = fmt::format("{}.png", 2 * i + 1);
    write_png(context.folder / "images" / attribution_file, bound);
    ordered_json attribution = boxed(bound, attribution_file);
    attribution["image_id"] = fmt::format("{}", 2 * i + 1);
    attribution["true_caption"] = fmt::format("{} and {}", the(bound.objects[0]), the(bound.objects[1]));
    attribution["false_caption"] = fmt::format("{} and {}", the(swapped.objects[0]), the(swapped.objects[1]));
    attribution["attributes"] = {synth::kColours[static_cast<std::size_t>(bound.objects[0].colour)],
                                 synth::kColours[static_cast<std::size_t>(bound.objects[1].colour)]};
    attributions.push_back(std::move(attribution));
  }
  write_text(context.folder / "visual_genome_relation.json", relations.dump());
  write_text(context.folder / "visual_genome_attribution.json", attributions.dump());
  return {"aro", 2 * count, 2 * count};
}

using CaptionPair = std::array<std::string, 2>;  // true, false

/// The two pairs of captions of an image in a CLEVR task.
using ClevrQuestions = std::array<CaptionPair, 2>;

/// A colour or shape that is on neither object.
int absent_value(int a, int b, int count, RandomSequence& random) {
  while (true) {
    const int value = static_cast<int>(random.below(static_cast<std::uint32_t>(count)));
    if (value != a && value != b) return value;
  }
}

std::string both(const Scene& scene, bool sizes, bool second_first) {
  const std::string a = synth::noun_phrase(scene.objects[second_first ? 1 : 0], sizes);
  const std::string b = synth::noun_phrase(scene.objects[second_first ? 0 : 1], sizes);
  return fmt::format("{} and {}", a, b);
}

ClevrQuestions pair_questions(const Scene& scene, const Scene& swapped, bool sizes) {
  return {CaptionPair{both(scene, sizes, false), both(swapped, sizes, false)},
          CaptionPair{both(scene, sizes, true), both(swapped, sizes, true)}};
}

/// For each object of the scene: its own phrase against that of the object changed by `change`.
ClevrQuestions object_questions(const Scene& scene,
                                const std::function<SceneObject(const SceneObject&)>& change) {
  ClevrQuestions questions;
  for (std::size_t k = 0; k < 2; ++k) {
    const SceneObject& object = scene.objects[k];
    questions[k] = {synth::noun_phrase(object, false), synth::noun_phrase(change(object), false)};
  }
  return questions;
}

ClevrQuestions spatial_questions(const Scene& scene) {
  ClevrQuestions questions;
  for (std::size_t k = 0; k < 2; ++k) {
    const Relation truth = k == 0 ? scene.relation : synth::inverse(scene.relation);
    const std::string a = synth::noun_phrase(scene.objects[k], false);
    const std::string b = synth::noun_phrase(scene.objects[1 - k], false);
    questions[k] = {fmt::format("{} {} {}", a, synth::relation_phrase(truth, 0), b),
                    fmt::format("{} {} {}", a, synth::relation_phrase(synth::inverse(truth), 0), b)};
  }
  return questions;
}

/// The seven tasks of the diffusion-itm release; each file holds {image: [[true, false], [true, false]]}.
SynthPart write_clevr(const PartContext& context, std::int64_t count) {
  fs::create_directories(context.folder / "captions");
  fs::create_directories(context.folder / "images");
  constexpr std::array<std::string_view, 7> kTasks = {
      "pair_binding_size", "pair_binding_color",  "recognition_color",  "recognition_shape",
      "spatial",           "binding_color_shape", "binding_shape_color"};
  for (std::size_t task = 0; task < kTasks.size(); ++task) {
    ordered_json questions_of = ordered_json::object();
    for (std::int64_t i = 0; i < count; ++i) {
      RandomSequence random = context.sequence(fmt::format("synth/clevr/{}", kTasks[task]), i);
      Scene scene = synth::draw_pair(context.split, kStraight, random);
      if (task == 0) scene.objects[1].size = 1 - scene.objects[0].size;
      const SceneObject first = scene.objects[0];
      const SceneObject second = scene.objects[1];
      const auto with_colour = [](SceneObject object, int colour) { return object.colour = colour, object; };
      const auto with_shape = [](SceneObject object, int shape) { return object.shape = shape, object; };
      ClevrQuestions questions;
      switch (task) {
        case 0:
          questions = pair_questions(scene, synth::with_sizes_swapped(scene), true);
          break;
        case 1:
          questions = pair_questions(scene, synth::with_colours_swapped(scene), false);
          break;
        case 2: {
          const int absent = absent_value(first.colour, second.colour, synth::kColours.size(), random);
          questions = object_questions(scene, [&](const SceneObject& o) { return with_colour(o, absent); });
          break;
        }
        case 3: {
          const int absent = absent_value(first.shape, second.shape, synth::kShapes.size(), random);
          questions = object_questions(scene, [&](const SceneObject& o) { return with_shape(o, absent); });
          break;
        }
        case 4:
          questions = spatial_questions(scene);
          break;
        case 5:  // the other object's colour on this shape
          questions = object_questions(scene, [&](const SceneObject& o) {
            return with_colour(o, o.colour == first.colour ? second.colour : first.colour);
          });
          break;
        default:  // the other object's shape in this colour
          questions = object_questions(scene, [&](const SceneObject& o) {
            return with_shape(o, o.shape == first.shape ? second.shape : first.shape);
          });
          break;
      }
      const std::string file = fmt::format("{}_{:04}.png", kTasks[task], i);
      write_png(context.folder / "images" / file, scene);
      questions_of[file] = questions;
    }
    write_text(context.folder / "captions" / fmt::format("{}.json", kTasks[task]), questions_of.dump());
  }
  const std::int64_t tasks = kTasks.size();
  return {"clevr", tasks * count, 2 * tasks * count};
}

SynthPart write_zeroshot(const PartContext& context, std::int64_t count) {
  std::string names;
  const std::int64_t classes = synth::kColours.size() * synth::kShapes.size();
  for (std::int64_t index = 0; index < classes; ++index) {
    const int colour = static_cast<int>(index / static_cast<std::int64_t>(synth::kShapes.size()));
    const int shape = static_cast<int>(index % static_cast<std::int64_t>(synth::kShapes.size()));
    const std::string_view colour_name = synth::kColours[static_cast<std::size_t>(colour)];
    const std::string_view shape_name = synth::kShapes[static_cast<std::size_t>(shape)];
    names += fmt::format("{} {}\n", colour_name, shape_name);
    const fs::path folder = context.folder / fmt::format("{}_{}", colour_name, shape_name);
    fs::create_directories(folder);
    for (std::int64_t i = index; i < count; i += classes) {
      RandomSequence random = context.sequence("synth/zeroshot", i);
      write_png(folder / fmt::format("{:05}.png", i),
                synth::draw_single_of(context.split, colour, shape, random));
    }
  }
  write_text(context.folder / "classnames.txt", names);
  write_text(context.folder / "templates.txt",
             "a {c}\na picture of a {c}\nthere is a {c}\nan image with a {c}\n");
  return {"zeroshot", count, count};
}

}  // namespace

std::vector<SynthPart> write_shapes_world(const SynthOptions& options) {
  std::error_code ignored;
  if (fs::exists(options.out) && !fs::is_empty(options.out, ignored)) {
    throw input_error(
        "{}: is not empty, expected a new or an empty folder; remove it or choose another --out",
        options.out.string());
  }
  if (options.train < 1) throw usage_error("--train: got {}, expected 1 or more", options.train);

  AtomicFolder world(options.out);
  std::vector<SynthPart> parts;
  const auto context = [&](const fs::path& folder, Split split) {
    return PartContext{world.path() / folder, split, options.seed};
  };
  const auto add = [&](const std::string& name, SynthPart part) {
    part.name = name;
    parts.push_back(std::move(part));
  };
  add("coco/train2017", write_coco(context("coco", Split::kTrain), "train2017", options.train));
  add("coco/val2017", write_coco(context("coco", Split::kValidation), "val2017", options.validation));
  add("retrieval/val2017", write_coco(context("retrieval", Split::kTest), "val2017", options.validation));
  for (const Split split : {Split::kTest, Split::kValidation}) {
    const fs::path root = split == Split::kTest ? "" : "val";
    const auto name = [&](const char* part) { return (root / part).string(); };
    add(name("winoground"), write_winoground(context(root / "winoground", split), options.winoground));
    add(name("aro"), write_aro(context(root / "aro", split), options.cases));
    add(name("clevr"), write_clevr(context(root / "clevr", split), options.cases / 5));
    add(name("zeroshot"), write_zeroshot(context(root / "zeroshot", split), options.zeroshot));
  }
  world.commit();
  return parts;
}

}  // namespace sdsclip
