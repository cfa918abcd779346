// Carries the precompiled header of the modules that use LibTorch; see CMakeLists.txt.
