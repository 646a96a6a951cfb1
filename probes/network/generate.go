package network

//go:generate go tool bpf2go -cc clang-14 -strip llvm-strip-14 -target amd64,arm64 -type row network network.bpf.c -- -I../include -O2 -Wall -Werror
