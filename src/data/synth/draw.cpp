#include "draw.h"

#include <algorithm>
#include <cmath>

namespace sdsclip::synth {
namespace {

using Rgb = std::array<double, 3>;

constexpr std::array<Rgb, kColours.size()> kPalette = {{
    {214, 40, 40},    // red
    {46, 160, 67},    // green
    {40, 90, 220},    // blue
    {240, 205, 40},   // yellow
    {130, 60, 170},   // purple
    {245, 135, 30},   // orange
    {250, 150, 190},  // pink
    {40, 200, 215},   // cyan
}};
constexpr std::array<Rgb, kBackgrounds.size()> kGround = {{{232, 232, 228}, {44, 44, 50}}};
constexpr std::array<double, kSizes.size()> kRadius = {9.0, 14.0};  // of the circle that holds the shape
constexpr int kSubsamples = 4;
constexpr double kGrain = 5.0;  // largest change per channel

/// Whether the point (x, y), in units of the radius from the object's centre, is inside the shape.
bool inside(std::size_t shape, double x, double y) {
  switch (shape) {
    case 0:
      return x * x + y * y <= 0.9;  // circle
    case 1:
      return std::abs(x) <= 0.8 && std::abs(y) <= 0.8;  // square
    case 2:
      return y <= 0.8 && y >= -1.0 && std::abs(x) <= (y + 1.0) * 0.56;  // triangle, point up
    case 3:
      return std::min(std::abs(x), std::abs(y)) <= 0.3 &&
             std::max(std::abs(x), std::abs(y)) <= 0.95;  // cross
    default: {                                            // ring
      const double squared = x * x + y * y;
      return squared <= 0.98 && squared >= 0.33;
    }
  }
}

double radius_of(const SceneObject& object) {
  return kRadius[object.size];
}

/// The share of the pixel at (column, row) that the object covers.
double coverage(const SceneObject& object, int column, int row) {
  const double radius = radius_of(object);
  int hits = 0;
  for (int sub = 0; sub < kSubsamples * kSubsamples; ++sub) {
    const double x = column + (sub % kSubsamples + 0.5) / kSubsamples;
    const double y = row + (sub / kSubsamples + 0.5) / kSubsamples;
    if (inside(object.shape, (x - object.x) / radius, (y - object.y) / radius)) ++hits;
  }
  return static_cast<double>(hits) / (kSubsamples * kSubsamples);
}

}  // namespace

std::vector<std::uint8_t> draw(const Scene& scene) {
  RandomSequence grain(scene.noise_seed, stream_of("synth/grain"));
  const Rgb& ground = kGround[scene.background];
  std::vector<std::uint8_t> pixels;
  pixels.reserve(static_cast<std::size_t>(kImageSize * kImageSize * 3));
  for (int row = 0; row < kImageSize; ++row) {
    for (int column = 0; column < kImageSize; ++column) {
      Rgb colour = ground;
      for (const SceneObject& object : scene.objects) {
        const double share = coverage(object, column, row);
        const Rgb& paint = kPalette[object.colour];
        for (std::size_t c = 0; c < 3; ++c) colour[c] += share * (paint[c] - colour[c]);
      }
      const double shade = grain.uniform(-kGrain, kGrain);
      for (const double channel : colour) {
        pixels.push_back(static_cast<std::uint8_t>(std::clamp(std::lround(channel + shade), 0L, 255L)));
      }
    }
  }
  return pixels;
}

std::array<int, 4> bounding_box(const Scene& scene) {
  double left = kImageSize;
  double top = kImageSize;
  double right = 0;
  double bottom = 0;
  for (const SceneObject& object : scene.objects) {
    const double reach = radius_of(object) + 2.0;
    left = std::min(left, object.x - reach);
    right = std::max(right, object.x + reach);
    top = std::min(top, object.y - reach);
    bottom = std::max(bottom, object.y + reach);
  }
  const int x = std::max(0, static_cast<int>(std::floor(left)));
  const int y = std::max(0, static_cast<int>(std::floor(top)));
  return {x, y, std::min(kImageSize, static_cast<int>(std::ceil(right))) - x,
          std::min(kImageSize, static_cast<int>(std::ceil(bottom))) - y};
}

}  // namespace sdsclip::synth
