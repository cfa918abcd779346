#include <fmt/format.h>

#include <fstream>
#include <opencv2/imgcodecs.hpp>

#include "captions.h"
#include "draw.h"
#include "sdsclip/base/error.h"
#include "sdsclip/base/files.h"
#include "sdsclip/base/json.h"
#include "sdsclip/data/synth.h"

namespace sdsclip {
namespace {

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

void write_file(const fs::path& path, std::string_view bytes) {
  std::ofstream stream(path, std::ios::binary);
  stream << bytes;
  stream.close();
  if (!stream) throw runtime_failure("{}: cannot write: is the disk full?", path.string());
}

void write_png(const fs::path& path, const Scene& scene) {
  std::vector<std::uint8_t> pixels = synth::draw(scene);
  for (std::size_t i = 0; i + 2 < pixels.size(); i += 3)
    std::swap(pixels[i], pixels[i + 2]);  // OpenCV is BGR
  const cv::Mat image(synth::kImageSize, synth::kImageSize, CV_8UC3, pixels.data());
  std::vector<std::uint8_t> bytes;
  cv::imencode(".png", image, bytes);
  write_file(path, {reinterpret_cast<const char*>(bytes.data()), bytes.size()});
}

ordered_json scene_json(const Scene& scene) {
  ordered_json objects = ordered_json::array();
  for (const SceneObject& object : scene.objects) {
    objects.push_back({{"color", synth::kColours[object.colour]},
                       {"shape", synth::kShapes[object.shape]},
                       {"size", synth::kSizes[object.size]},
                       {"x", object.x},
                       {"y", object.y}});
  }
  const bool pair = scene.objects.size() == 2;
  const bool canonical = pair && synth::is_canonical_binding(scene.objects[0], scene.objects[1]);
  return {{"background", synth::kBackgrounds[scene.background]},
          {"objects", objects},
          {"relation", synth::facts_of(scene.relation).name},
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
  write_file(context.folder / "annotations" / fmt::format("captions_{}.json", name), file.dump());
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
    const Scene scene = synth::draw_pair(split, diagonal ? kDiagonal : kStraight, random);
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
        synth::draw_pair(split, in_relation ? std::span<const Relation>(kStraight) : kAnd, random);
    Wording wording = synth::draw_wording(scene.relation, random);
    wording.sizes = false;  // the colours alone are exchanged
    const Scene swapped = synth::with_swapped(scene, &SceneObject::colour);
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
  write_file(context.folder / "examples.jsonl", lines);
  return {"winoground", 2 * count, count};
}

/// Writes an image and returns its entry in one of ARO's files.
ordered_json write_aro_image(const PartContext& context, std::int64_t id, const Scene& scene,
                             const std::string& truth, const std::string& wrong) {
  const std::string file = fmt::format("{}.png", id);
  write_png(context.folder / "images" / file, scene);
  const std::array<int, 4> box = synth::bounding_box(scene);
  return {{"image_path", file},    {"bbox_x", box[0]},      {"bbox_y", box[1]},
          {"bbox_w", box[2]},      {"bbox_h", box[3]},      {"image_id", std::to_string(id)},
          {"true_caption", truth}, {"false_caption", wrong}};
}

SynthPart write_aro(const PartContext& context, std::int64_t count) {
  fs::create_directories(context.folder / "images");
  ordered_json relations = ordered_json::array();
  ordered_json attributions = ordered_json::array();
  const auto told = [](const Scene& scene, std::size_t first, std::string_view between) {
    return fmt::format("{} {} {}", synth::noun_phrase(scene.objects[first], false, true), between,
                       synth::noun_phrase(scene.objects[1 - first], false, true));
  };
  for (std::int64_t i = 0; i < count; ++i) {
    RandomSequence random = context.sequence("synth/aro", i);
    const Scene related = synth::draw_pair(context.split, kStraight, random);
    const std::string_view phrase = synth::facts_of(related.relation).phrases[0];
    const std::string is = fmt::format("is {}", phrase);
    ordered_json relation =
        write_aro_image(context, 2 * i, related, told(related, 0, is), told(related, 1, is));
    relation["relation_name"] = phrase;
    relations.push_back(std::move(relation));

    const Scene bound = synth::draw_pair(context.split, kAnd, random);
    const Scene swapped = synth::with_swapped(bound, &SceneObject::colour);
    ordered_json attribution =
        write_aro_image(context, 2 * i + 1, bound, told(bound, 0, "and"), told(swapped, 0, "and"));
    attribution["attributes"] = {synth::kColours[bound.objects[0].colour],
                                 synth::kColours[bound.objects[1].colour]};
    attributions.push_back(std::move(attribution));
  }
  write_file(context.folder / "visual_genome_relation.json", relations.dump());
  write_file(context.folder / "visual_genome_attribution.json", attributions.dump());
  return {"aro", 2 * count, 2 * count};
}

using CaptionPair = std::array<std::string, 2>;  // true, false

/// The two pairs of captions of an image in a CLEVR task.
using ClevrQuestions = std::array<CaptionPair, 2>;

/// An attribute of an object.
using Attribute = std::size_t SceneObject::*;

/// Both objects against the same with an attribute swapped, told from either object.
ClevrQuestions pair_questions(const Scene& scene, Attribute swapped, bool sizes) {
  const Scene wrong = synth::with_swapped(scene, swapped);
  const auto both = [&](const Scene& told, std::size_t first) {
    return fmt::format("{} and {}", synth::noun_phrase(told.objects[first], sizes),
                       synth::noun_phrase(told.objects[1 - first], sizes));
  };
  return {CaptionPair{both(scene, 0), both(wrong, 0)}, CaptionPair{both(scene, 1), both(wrong, 1)}};
}

/// Each object against the same with a wrong value of an attribute.
ClevrQuestions object_questions(const Scene& scene, Attribute attribute,
                                const std::array<std::size_t, 2>& wrong) {
  ClevrQuestions questions;
  for (std::size_t k = 0; k < 2; ++k) {
    SceneObject changed = scene.objects[k];
    changed.*attribute = wrong[k];
    questions[k] = {synth::noun_phrase(scene.objects[k], false), synth::noun_phrase(changed, false)};
  }
  return questions;
}

/// Each object with a value, of `count`, that neither has.
ClevrQuestions recognition_questions(const Scene& scene, Attribute attribute, std::uint32_t count,
                                     RandomSequence& random) {
  while (true) {
    const std::size_t value = random.below(count);
    const bool absent = value != scene.objects[0].*attribute && value != scene.objects[1].*attribute;
    if (absent) return object_questions(scene, attribute, {value, value});
  }
}

/// Each object with the other one's value.
ClevrQuestions binding_questions(const Scene& scene, Attribute attribute) {
  return object_questions(scene, attribute, {scene.objects[1].*attribute, scene.objects[0].*attribute});
}

ClevrQuestions spatial_questions(const Scene& scene) {
  ClevrQuestions questions;
  for (std::size_t k = 0; k < 2; ++k) {
    const Relation inverse = synth::facts_of(scene.relation).inverse;
    const Relation truth = k == 0 ? scene.relation : inverse;
    const Relation wrong = k == 0 ? inverse : scene.relation;
    const std::string a = synth::noun_phrase(scene.objects[k], false);
    const std::string b = synth::noun_phrase(scene.objects[1 - k], false);
    questions[k] = {fmt::format("{} {} {}", a, synth::facts_of(truth).phrases[0], b),
                    fmt::format("{} {} {}", a, synth::facts_of(wrong).phrases[0], b)};
  }
  return questions;
}

struct ClevrTask {
  std::string_view name;
  ClevrQuestions (*questions)(const Scene& scene, RandomSequence& random);
};

constexpr std::array<ClevrTask, 7> kClevrTasks = {{
    {"pair_binding_size",
     [](const Scene& s, RandomSequence&) { return pair_questions(s, &SceneObject::size, true); }},
    {"pair_binding_color",
     [](const Scene& s, RandomSequence&) { return pair_questions(s, &SceneObject::colour, false); }},
    {"recognition_color",
     [](const Scene& s, RandomSequence& r) {
       return recognition_questions(s, &SceneObject::colour, synth::kColours.size(), r);
     }},
    {"recognition_shape",
     [](const Scene& s, RandomSequence& r) {
       return recognition_questions(s, &SceneObject::shape, synth::kShapes.size(), r);
     }},
    {"spatial", [](const Scene& s, RandomSequence&) { return spatial_questions(s); }},
    {"binding_color_shape",
     [](const Scene& s, RandomSequence&) { return binding_questions(s, &SceneObject::colour); }},
    {"binding_shape_color",
     [](const Scene& s, RandomSequence&) { return binding_questions(s, &SceneObject::shape); }},
}};

/// The seven tasks of the diffusion-itm release; each file holds {image: [[true, false], [true, false]]}.
SynthPart write_clevr(const PartContext& context, std::int64_t count) {
  fs::create_directories(context.folder / "captions");
  fs::create_directories(context.folder / "images");
  for (const ClevrTask& task : kClevrTasks) {
    ordered_json questions_of = ordered_json::object();
    for (std::int64_t i = 0; i < count; ++i) {
      RandomSequence random = context.sequence(fmt::format("synth/clevr/{}", task.name), i);
      Scene scene = synth::draw_pair(context.split, kStraight, random);
      if (task.name == "pair_binding_size") scene.objects[1].size = 1 - scene.objects[0].size;
      const std::string file = fmt::format("{}_{:04}.png", task.name, i);
      write_png(context.folder / "images" / file, scene);
      questions_of[file] = task.questions(scene, random);
    }
    write_file(context.folder / "captions" / fmt::format("{}.json", task.name), questions_of.dump());
  }
  const std::int64_t tasks = kClevrTasks.size();
  return {"clevr", tasks * count, 2 * tasks * count};
}

SynthPart write_zeroshot(const PartContext& context, std::int64_t count) {
  std::string names;
  const std::int64_t classes = synth::kColours.size() * synth::kShapes.size();
  for (std::int64_t index = 0; index < classes; ++index) {
    const std::size_t colour = static_cast<std::size_t>(index) / synth::kShapes.size();
    const std::size_t shape = static_cast<std::size_t>(index) % synth::kShapes.size();
    names += fmt::format("{} {}\n", synth::kColours[colour], synth::kShapes[shape]);
    const fs::path folder =
        context.folder / fmt::format("{}_{}", synth::kColours[colour], synth::kShapes[shape]);
    fs::create_directories(folder);
    for (std::int64_t i = index; i < count; i += classes) {
      RandomSequence random = context.sequence("synth/zeroshot", i);
      write_png(folder / fmt::format("{:05}.png", i),
                synth::draw_single_of(context.split, colour, shape, random));
    }
  }
  write_file(context.folder / "classnames.txt", names);
  write_file(context.folder / "templates.txt",
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
