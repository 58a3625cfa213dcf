// SPDX-License-Identifier: Apache-2.0
//
// Colours, where there is somebody to see them.
#ifndef ZCRX_TOOLS_ZCRXCTL_STYLE_H_
#define ZCRX_TOOLS_ZCRXCTL_STYLE_H_

#include <string>

namespace zcrx::ctl {

class Style {
 public:
  explicit Style(bool colours) : colours_(colours) {}
  // With colours if stdout is a terminal and nobody minds (NO_COLOR).
  static Style OfStdout();

  std::string Good(const std::string& text) const { return Paint("32", text); }
  std::string Bad(const std::string& text) const { return Paint("31", text); }
  std::string Bold(const std::string& text) const { return Paint("1", text); }

 private:
  std::string Paint(const char* code, const std::string& text) const;

  bool colours_;
};

}  // namespace zcrx::ctl

#endif  // ZCRX_TOOLS_ZCRXCTL_STYLE_H_
