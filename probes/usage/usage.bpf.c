//go:build ignore

// SPDX-License-Identifier: (GPL-2.0 OR MIT)
/* What every thread has consumed, in one pass over all tasks. */
#include "vitals.h"

#define UNKNOWN (-1LL)
#define BITS_PER_WORD 64
#define MAX_FD_WORDS 512 /* tables of 32,768 descriptors; beyond that the count is unknown */

/* Counters of one thread, or of all threads of a process that have ended. */
struct spent {
	u64 user, system; /* nanoseconds, counted in timer ticks */
	u64 runtime;	  /* nanoseconds on a processor, exact */
	u64 minor_faults, major_faults;
	u64 voluntary, involuntary;
	s64 read_bytes, write_bytes; /* -1 where the kernel does not account I/O */
};

struct look {
	u32 pid;
	u32 threads;
	u64 birth;
	struct spent thread;
	struct spent ended;
	s64 rss_pages;	/* -1: this thread cannot tell */
	s64 size_pages;
	s64 fds;
};
EXPORT_TYPE(look);

/* Most processes have one thread that sleeps from look to look. Who has not run since
 * it was told has consumed nothing and opened nothing, and is left out of looks that
 * are not whole. */
struct mark {
	u64 birth;
	u64 runtime;
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 8192); /* more are told each time */
	__type(key, u32);
	__type(value, struct mark);
} marks SEC(".maps");

u32 whole;

static __always_inline void read_io(struct spent *s, const struct task_io_accounting *io)
{
	if (!bpf_core_field_exists(io->read_bytes)) {
		s->read_bytes = s->write_bytes = UNKNOWN;
		return;
	}
	s->read_bytes = io->read_bytes;
	s->write_bytes = io->write_bytes;
}

/* Levels of the process' memory, -1 when it changed hands while we looked. */
static __always_inline void read_memory(struct look *l, struct task_struct *task)
{
	struct mm_struct *mm = task->mm;
	s64 rss;

	if (!mm)
		return;
	if (bpf_core_type_exists(struct mm_rss_stat)) {
		struct mm_struct___atomic *old = (void *)mm;

		rss = BPF_CORE_READ(old, rss_stat.count[MM_FILEPAGES].counter) +
		      BPF_CORE_READ(old, rss_stat.count[MM_ANONPAGES].counter) +
		      BPF_CORE_READ(old, rss_stat.count[MM_SHMEMPAGES].counter);
	} else {
		rss = mm->rss_stat[MM_FILEPAGES].count + mm->rss_stat[MM_ANONPAGES].count +
		      mm->rss_stat[MM_SHMEMPAGES].count;
	}
	l->size_pages = mm->total_vm;
	/* Counters of single processors not added yet can make the sum negative. */
	l->rss_pages = rss < 0 ? 0 : rss;
	if (task->mm != mm)
		l->rss_pages = l->size_pages = UNKNOWN;
}

static __always_inline u64 ones(u64 w)
{
	w -= (w >> 1) & 0x5555555555555555ULL;
	w = (w & 0x3333333333333333ULL) + ((w >> 2) & 0x3333333333333333ULL);
	w = (w + (w >> 4)) & 0x0f0f0f0f0f0f0f0fULL;
	return (w * 0x0101010101010101ULL) >> 56;
}

static __always_inline void count_fds(struct look *l, struct task_struct *task)
{
	struct files_struct *files = task->files;
	struct fdtable *fdt;
	unsigned long *words;
	u32 n;
	s64 count = 0;

	if (!files)
		return;
	fdt = files->fdt;
	words = fdt->open_fds;
	n = fdt->max_fds / BITS_PER_WORD;
	if (n > MAX_FD_WORDS)
		return;
	for (u32 i = 0; i < MAX_FD_WORDS && i < n; i++) {
		u64 word;

		if (bpf_probe_read_kernel(&word, sizeof(word), words + i))
			return;
		count += ones(word);
	}
	if (task->files == files && files->fdt == fdt)
		l->fds = count;
}

SEC("iter/task")
int each_task(struct bpf_iter__task *ctx)
{
	struct seq_file *seq = ctx->meta->seq;
	struct task_struct *task = ctx->task;
	struct task_struct *leader;
	struct signal_struct *signal;
	struct look l = {};
	struct mark now, *told = NULL;

	if (!task || task_is_kernel(task))
		return 0;
	leader = task->group_leader;
	signal = task->signal;
	l.pid = task->tgid;
	l.birth = leader->start_boottime / NSEC_PER_TICK;
	l.threads = signal->nr_threads;
	now.birth = l.birth;
	now.runtime = task->se.sum_exec_runtime;
	if (l.threads == 1) {
		told = bpf_map_lookup_elem(&marks, &l.pid);
		if (!whole && told && told->birth == now.birth && told->runtime == now.runtime)
			return 0;
	}

	l.thread.user = task->utime;
	l.thread.system = task->stime;
	l.thread.runtime = now.runtime;
	l.thread.minor_faults = task->min_flt;
	l.thread.major_faults = task->maj_flt;
	l.thread.voluntary = task->nvcsw;
	l.thread.involuntary = task->nivcsw;
	read_io(&l.thread, &task->ioac);

	l.ended.user = signal->utime;
	l.ended.system = signal->stime;
	l.ended.runtime = signal->sum_sched_runtime;
	l.ended.minor_faults = signal->min_flt;
	l.ended.major_faults = signal->maj_flt;
	l.ended.voluntary = signal->nvcsw;
	l.ended.involuntary = signal->nivcsw;
	read_io(&l.ended, &signal->ioac);

	/* Threads share memory and files; a leader that has ended has let go of them. */
	l.rss_pages = l.size_pages = l.fds = signal->live.counter ? UNKNOWN : 0;
	if (task == leader || !leader->mm) {
		read_memory(&l, task);
		count_fds(&l, task);
	}
	/* A record that has no room is asked for once more. */
	if (bpf_seq_write(seq, &l, sizeof(l)) || l.threads != 1)
		return 0;
	if (told)
		*told = now;
	else
		bpf_map_update_elem(&marks, &l.pid, &now, BPF_ANY);
	return 0;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
