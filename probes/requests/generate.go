package requests

//go:generate go tool bpf2go -cc clang-14 -strip llvm-strip-14 -target amd64,arm64 -type exchange -type open -type exception -type process -type trouble -type tuning -type place requests requests.bpf.c -- -I../include -O2 -mcpu=v3 -Wall -Werror

//go:generate go tool bpf2go -cc clang-14 -strip llvm-strip-14 -target amd64,arm64 floor floor.bpf.c -- -I../include -O2 -mcpu=v3 -Wall -Werror

//go:generate go tool bpf2go -cc clang-14 -strip llvm-strip-14 -target amd64,arm64 secret secret.bpf.c -- -I../include -O2 -mcpu=v3 -Wall -Werror -Wno-unused-function
