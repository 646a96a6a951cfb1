// SPDX-License-Identifier: Dual MIT/GPL
// Functions that the verifier looks at once, not at each call of them: those that
// it is told of by ONCE or ONCE_ALONE after their bodies. Kernels before 5.12 let
// such functions take numbers only: with BY_KEY they find the connection and the
// chunk again. With neither that nor a kernel that is new for certain, they are
// ordinary functions, which the verifier follows each time.
#ifndef VITALS_ONCE_H
#define VITALS_ONCE_H

#include "head.h"

// Arguments that a function makes no use of must be passed all the same.
#define USED(a, b, d) asm volatile("" : : "r"(a), "r"(b), "r"(d))

#ifdef BY_KEY

static __always_inline struct conn *conn_by_key(__u64 key);
static __always_inline struct chunk *chunk_here(void);

#define ONCE(name)                                                                                                \
	__noinline int name##_at(__u64 key, __u64 a, __u64 b, __u64 d)                                            \
	{                                                                                                         \
		struct conn *c = conn_by_key(key);                                                                    \
		struct chunk *k = chunk_here();                                                                   \
                                                                                                                  \
		USED(a, b, d);                                                                                    \
		return c && k ? name##_body(c, k, a, b, d) : 0;                                                   \
	}                                                                                                         \
                                                                                                                  \
	static __always_inline int name(struct conn *c, struct chunk *k, __u64 a, __u64 b, __u64 d)               \
	{                                                                                                         \
		return name##_at(c->key, a, b, d);                                                                \
	}

#define ONCE_ALONE(name)                                                                                          \
	__noinline int name##_at(__u64 key, __u64 a)                                                              \
	{                                                                                                         \
		struct conn *c = conn_by_key(key);                                                                    \
                                                                                                                  \
		USED(a, a, a);                                                                                    \
		return c ? name##_body(c, a) : 0;                                                                 \
	}                                                                                                         \
                                                                                                                  \
	static __always_inline int name(struct conn *c, __u64 a)                                                  \
	{                                                                                                         \
		return name##_at(c->key, a);                                                                      \
	}

#else

#if defined(FLOOR) || defined(WALKS) // some kernels take no others while preemption is off
#define VERIFIED_ONCE static __noinline
#else
#define VERIFIED_ONCE __noinline
#endif

#define ONCE(name)                                                                                                \
	VERIFIED_ONCE int name(struct conn *c, struct chunk *k, __u64 a, __u64 b, __u64 d)                           \
	{                                                                                                         \
		USED(a, b, d);                                                                                    \
		return c && k ? name##_body(c, k, a, b, d) : 0;                                                   \
	}

#define ONCE_ALONE(name)                                                                                          \
	VERIFIED_ONCE int name(struct conn *c, __u64 a)                                                            \
	{                                                                                                         \
		USED(a, a, a);                                                                                    \
		return c ? name##_body(c, a) : 0;                                                                 \
	}

#endif

#endif
