package lifecycle

//go:generate go tool bpf2go -cc clang-14 -strip llvm-strip-14 -target amd64,arm64 -type event lifecycle lifecycle.bpf.c -- -I../include -O2 -Wall -Werror
