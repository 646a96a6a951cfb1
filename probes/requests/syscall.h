// SPDX-License-Identifier: Dual MIT/GPL
// Numbers and arguments of the system calls that move bytes through sockets.
#ifndef VITALS_SYSCALL_H
#define VITALS_SYSCALL_H

#if defined(__TARGET_ARCH_x86)

#define SYSCALL_NR(regs) ((regs)->orig_ax)
#define SYSCALL_ARG2(regs) ((regs)->si)
#define SYSCALL_ARG3(regs) ((regs)->dx)
#define IS_COMPAT(regs) ((regs)->cs == 0x23) // the segment of 32-bit code

enum {
	NR_READ = 0, NR_WRITE = 1, NR_READV = 19, NR_WRITEV = 20, NR_SENDTO = 44, NR_RECVFROM = 45, NR_SENDMSG = 46,
	NR_RECVMSG = 47, NR_RECVMMSG = 299, NR_SENDMMSG = 307, NR_PREADV2 = 327, NR_PWRITEV2 = 328,
};

#elif defined(__TARGET_ARCH_arm64)

#define SYSCALL_NR(regs) ((u64)(u32)(regs)->syscallno)
#define SYSCALL_ARG2(regs) ((regs)->regs[1])
#define SYSCALL_ARG3(regs) ((regs)->regs[2])
#define IS_COMPAT(regs) ((regs)->pstate & 0x10) // 32-bit state

enum {
	NR_READ = 63, NR_WRITE = 64, NR_READV = 65, NR_WRITEV = 66, NR_SENDTO = 206, NR_RECVFROM = 207, NR_SENDMSG = 211,
	NR_RECVMSG = 212, NR_RECVMMSG = 243, NR_SENDMMSG = 269, NR_PREADV2 = 286, NR_PWRITEV2 = 287,
};

#endif

#endif
