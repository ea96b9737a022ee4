// What this program is made of.
#pragma once

#include <string>

namespace tutti {

// "0.1.0 (3f9a21c0b1d2)": version and git commit, "+changes" where the tree differed from it.
std::string version();

// The text of `tutti --version`: versions of the program and of every library that matters.
std::string version_text();

}  // namespace tutti
