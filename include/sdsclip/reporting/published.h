#pragma once

#include <array>
#include <optional>
#include <span>
#include <string_view>

namespace sdsclip {

/// A column of SDS-CLIP's Table 1: the paper's name and our metric.
struct PublishedColumn {
  std::string_view title;
  std::string_view metric;
};
inline constexpr std::array<PublishedColumn, 9> kPublishedColumns = {{
    {"Wino-Overall", "winoground/text"},
    {"Object", "winoground/tag/Object/text"},
    {"Relation", "winoground/tag/Relation/text"},
    {"Both", "winoground/tag/Both/text"},
    {"1 Main Pred", "winoground/preds/1/text"},
    {"2 Main Preds", "winoground/preds/2/text"},
    {"ARO-Overall", "aro/overall"},
    {"ARO-Relation", "aro/vg_relation/micro"},
    {"ARO-Attribution", "aro/vg_attribution/micro"},
}};

/// A row of the paper's Tables 1 to 3; values are fractions.
struct PublishedRow {
  int table = 0;
  std::string_view model;
  std::string_view method;  ///< empty: the pre-trained model
  std::array<std::optional<double>, kPublishedColumns.size()> values;
};

/// All rows of Tables 1, 2 and 3 of "Augmenting CLIP with Improved Visio-Linguistic Reasoning" (SDS-CLIP), in
/// order.
std::span<const PublishedRow> published_rows();

}  // namespace sdsclip
