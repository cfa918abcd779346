// Carries the precompiled header of the rooms that use LibTorch; see CMakeLists.txt.
