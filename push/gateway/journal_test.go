package gateway

import (
	"encoding/binary"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// crash leaves a store as a kill would: nothing is put in order.
func crash(d *DiskStore) {
	d.journal.file.Close()
	d.lock.Close()
}

// opened loads the store in dir and gives what it has, by data.
func opened(t testing.TB, dir string, half int64) (*DiskStore, map[string]bool) {
	t.Helper()
	d, err := OpenDisk(dir, nil, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	d.half = half
	have := map[string]bool{}
	if err := d.Load(func(data []byte) error { have[string(data)] = true; return nil }); err != nil {
		t.Fatal(err)
	}
	return d, have
}

func commit(t testing.TB, d *DiskStore, pairs ...string) {
	t.Helper()
	var changes []Change
	for i := 0; i+1 < len(pairs); i += 2 {
		c := Change{ID: pairs[i]}
		if pairs[i+1] != "" {
			c.Data = []byte(pairs[i+1])
		}
		changes = append(changes, c)
	}
	if err := d.Commit(changes); err != nil {
		t.Fatal(err)
	}
}

func only(t testing.TB, have map[string]bool, want ...string) {
	t.Helper()
	for _, w := range want {
		if !have[w] {
			t.Errorf("%.40q is lost; there are %d", w, len(have))
		}
	}
	if len(have) != len(want) {
		t.Errorf("%d groups, want %d", len(have), len(want))
	}
}

// Whatever was committed is there after a crash, however often the halves
// changed meanwhile: a thousand random changes against a map.
func TestJournalKeepsEveryCommit(t *testing.T) {
	const half = 8 << 10
	seed := rand.Uint64()
	rng := rand.New(rand.NewPCG(seed, 1))
	dir, model := t.TempDir(), map[string]string{}
	d, _ := opened(t, dir, half)
	folds := uint64(0)
	for n := range 1000 {
		var pairs []string
		for range 1 + rng.IntN(3) {
			id, data := fmt.Sprint("g", rng.IntN(20)), ""
			if rng.IntN(4) > 0 {
				data = fmt.Sprint(id, " ", n, " ", strings.Repeat("x", rng.IntN(100)))
			}
			if rng.IntN(100) == 0 { // too large for the journal, or nearly
				data = fmt.Sprint(id, " ", n, " ", strings.Repeat("y", half/4-200+rng.IntN(2*half)))
			}
			pairs = append(pairs, id, data)
			model[id] = data
		}
		commit(t, d, pairs...)
		if rng.IntN(20) == 0 {
			folds += d.journal.generation
			crash(d)
			var have map[string]bool
			d, have = opened(t, dir, half)
			want := 0
			for id, data := range model {
				if data == "" {
					continue
				}
				if want++; !have[data] {
					t.Fatalf("seed %d, change %d: %s is lost or old", seed, n, id)
				}
			}
			if len(have) != want {
				t.Fatalf("seed %d, change %d: %d groups, want %d", seed, n, len(have), want)
			}
		}
	}
	if folds < 100 {
		t.Errorf("%d generations: the test did not do its work", folds)
	}
	if d.Quarantined() != 0 {
		t.Error("something was set aside")
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, journalName)); err == nil {
		t.Error("the journal is still there after a clean end")
	}
}

// journalOf makes a store with three commits in its journal and crashes it.
func journalOf(t testing.TB) (dir, path string, ends []int64) {
	t.Helper()
	dir = t.TempDir()
	d, _ := opened(t, dir, 4096)
	for _, data := range []string{"first", "second", "third"} {
		commit(t, d, data, data)
		ends = append(ends, d.journal.used)
	}
	crash(d)
	return dir, filepath.Join(dir, journalName), ends
}

func TestDamagedJournals(t *testing.T) {
	for name, c := range map[string]struct {
		damage func(b []byte, ends []int64)
		left   []string
		aside  int64
	}{
		"none":          {func([]byte, []int64) {}, []string{"first", "second", "third"}, 0},
		"torn tail":     {func(b []byte, e []int64) { clear(b[e[2]-3:]) }, []string{"first", "second"}, 0},
		"tail begun":    {func(b []byte, e []int64) { clear(b[e[1]+5:]) }, []string{"first", "second"}, 0},
		"noise behind":  {func(b []byte, e []int64) { copy(b[e[2]:], "vgjr\xff\xff\xff\xff1234vgjr") }, []string{"first", "second", "third"}, 0},
		"middle":        {func(b []byte, e []int64) { b[e[1]-1] ^= 1 }, []string{"first", "third"}, 1},
		"first":         {func(b []byte, e []int64) { b[e[0]-1] ^= 1 }, []string{"second", "third"}, 1},
		"length":        {func(b []byte, e []int64) { b[e[0]+7] = 0xff }, []string{"first", "third"}, 1},
		"header":        {func(b []byte, _ []int64) { b[3] ^= 1 }, nil, 1},
		"generation":    {func(b []byte, _ []int64) { b[14] ^= 1 }, nil, 1},
		"before it was": {func(b []byte, _ []int64) { clear(b) }, nil, 0},
	} {
		t.Run(name, func(t *testing.T) {
			dir, path, ends := journalOf(t)
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			c.damage(b, ends)
			if err := os.WriteFile(path, b, 0o600); err != nil {
				t.Fatal(err)
			}
			d, have := opened(t, dir, 4096)
			only(t, have, c.left...)
			if d.Quarantined() != c.aside {
				t.Errorf("%d set aside, want %d", d.Quarantined(), c.aside)
			}
			commit(t, d, "fourth", "fourth") // it works on
			crash(d)
			d, have = opened(t, dir, 4096)
			only(t, have, append(c.left, "fourth")...)
			if err := d.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestNewerJournalIsRefused(t *testing.T) {
	dir, path, _ := journalOf(t)
	b, _ := os.ReadFile(path)
	binary.LittleEndian.PutUint32(b[len(journalMagic):], 9)
	binary.LittleEndian.PutUint32(b[journalHeader-4:], sum(0, b[:journalHeader-4]))
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	d := disk(t, dir)
	defer d.Close()
	if err := d.Load(func([]byte) error { return nil }); err == nil || !strings.Contains(err.Error(), "newer vitals") {
		t.Errorf("error %v", err)
	}
	if after, _ := os.ReadFile(path); string(after) != string(b) {
		t.Error("it was changed")
	}
}

// Where no space can be reserved there is none, and all else works.
func TestWithoutAJournal(t *testing.T) {
	dir := t.TempDir()
	d, _ := opened(t, dir, 1<<58)
	if d.journal != nil {
		t.Fatal("space for two exabytes")
	}
	commit(t, d, "a", "1", "b", "2")
	commit(t, d, "a", "")
	d.lock.Close()
	d, have := opened(t, dir, 4096)
	only(t, have, "2")
	crash(d)
}

// Groups whose files cannot be written are carried from half to half, read back
// by the next run, and there is an end to how much of that is taken.
func TestJournalCarriesWhatHasNoFile(t *testing.T) {
	const half = 4 << 10
	dir := t.TempDir()
	d, _ := opened(t, dir, half)
	block := filepath.Join(dir, fileName("stuck")) // a directory where the file should be
	if err := os.MkdirAll(filepath.Join(block, "x"), 0o700); err != nil {
		t.Fatal(err)
	}
	commit(t, d, "stuck", "kept")
	for n := range 300 {
		commit(t, d, "other", fmt.Sprint("other ", n))
	}
	if d.journal.generation < 3 {
		t.Fatalf("generation %d: nothing was carried", d.journal.generation)
	}
	crash(d)
	d, have := opened(t, dir, half)
	only(t, have, "kept", "other 299")
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	d, have = opened(t, dir, half)
	only(t, have, "kept", "other 299")
	if err := d.Commit([]Change{{ID: "stuck", Data: make([]byte, half/2)}}); err != nil {
		t.Fatal(err)
	}
	var refused error
	for n := 0; n < 300 && refused == nil; n++ {
		refused = d.Commit([]Change{{ID: "other", Data: fmt.Appendf(nil, "more %d", n)}})
	}
	if refused == nil || !strings.Contains(refused.Error(), "too much for the journal") {
		t.Errorf("error %v", refused)
	}
	if err := os.RemoveAll(block); err != nil {
		t.Fatal(err)
	}
	commit(t, d, "other", "last")
	crash(d)
	d, have = opened(t, dir, half)
	only(t, have, string(make([]byte, half/2)), "last")
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
}

func FuzzReadRecords(f *testing.F) {
	good := record(map[string][]byte{fileName("a"): []byte("data"), fileName("b"): nil}, 7)
	f.Add(good)
	f.Add(append(good[:len(good):len(good)], good...))
	f.Add(good[3:])
	f.Fuzz(func(t *testing.T, b []byte) {
		files, _ := readRecords(b, 7)
		for name := range files {
			if !isGroupFile(name) {
				t.Errorf("the name %q", name)
			}
		}
	})
}

// One small commit, which waits for the disk.
func BenchmarkCommit(b *testing.B) {
	for name, half := range map[string]int64{"journal": journalHalf, "files": 1 << 58} {
		b.Run(name, func(b *testing.B) {
			d, _ := opened(b, b.TempDir(), half)
			data := strings.Repeat("x", 500)
			for n := 0; b.Loop(); n++ {
				commit(b, d, fmt.Sprint("g", n%100), data)
			}
			_ = d.Close()
		})
	}
}
