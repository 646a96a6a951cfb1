/* SPDX-License-Identifier: (GPL-2.0 OR MIT) */
/*
 * Ring buffers that count what did not fit. A program that includes this has
 * one variable, ring_lost, which user space reads (kern.Lost): the number of
 * records for which there was no room since the program was loaded.
 */
#ifndef VITALS_RING_H
#define VITALS_RING_H

#include "vitals.h"

u64 ring_lost;

static __always_inline void *ring_reserve(void *ring, u64 size)
{
	void *record = bpf_ringbuf_reserve(ring, size, 0);

	if (!record)
		__sync_fetch_and_add(&ring_lost, 1);
	return record;
}

#endif
