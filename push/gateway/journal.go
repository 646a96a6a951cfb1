package gateway

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// journal is the file of changes that are newer than the files of groups: a
// batch of changes costs one write and one sync there, instead of a file and a
// rename for each group. Its space is reserved, so that it never runs out of any.
//
// It has a header (magic, version, generation, checksum) and two halves, of which
// the generation says the one in use. Records follow one another there: magic,
// length, checksum, and as content the number of changes, each a name, a flag and
// data. The checksum covers the generation, so that records of earlier ones are
// none. Only the last record can be torn: each was synced before the next was
// written. When a half is full, its changes go into the files of groups; those
// for which that fails are carried into the other half, and only then the header
// is switched to that.
type journal struct {
	file       *os.File
	generation uint64
	half       int64 // bytes
	used       int64 // where the next record goes
	broken     bool  // a write failed: nothing more is added to this half
}

const (
	journalName    = "journal"
	journalMagic   = "vitalsgj"
	journalVersion = 1
	journalHeader  = len(journalMagic) + 4 + 8 + 4
	journalHalf    = 4 << 20
	recordMagic    = "vgjr"
	recordHeader   = len(recordMagic) + 4 + 4
)

// sum covers what must fit together; polynomials of CRC tell every torn write.
func sum(generation uint64, data []byte) uint32 {
	table := crc32.MakeTable(crc32.Castagnoli)
	return crc32.Update(crc32.Checksum(binary.LittleEndian.AppendUint64(nil, generation), table), table, data)
}

// newJournal makes an empty one and reserves its space. The error says that
// there is none to be had, which is not a failure of the store.
func newJournal(path string, half int64) (*journal, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, err
	}
	j := &journal{file: f, half: half}
	if err = unix.Fallocate(int(f.Fd()), 0, 0, int64(journalHeader)+2*half); err == nil {
		err = j.next(nil)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close(), os.Remove(path))
	}
	return j, nil
}

// begin is where the half of a generation begins.
func (j *journal) begin(generation uint64) int64 {
	return int64(journalHeader) + int64(generation%2)*j.half
}

// empty reports whether there is no record.
func (j *journal) empty() bool { return j.used == j.begin(j.generation) }

// next switches to the other half, with one record in it when some changes are
// carried on.
func (j *journal) next(carried map[string][]byte) error {
	generation := j.generation + 1
	used := j.begin(generation)
	if len(carried) > 0 {
		record := record(carried, generation)
		if int64(len(record)) > j.half/2 {
			return fmt.Errorf("%d groups cannot be put into their files, and are too much for the journal", len(carried))
		}
		if _, err := j.file.WriteAt(record, used); err != nil {
			return err
		}
		if err := j.file.Sync(); err != nil {
			return err
		}
		used += int64(len(record))
	}
	head := append([]byte(journalMagic), 0, 0, 0, 0)
	binary.LittleEndian.PutUint32(head[len(journalMagic):], journalVersion)
	head = binary.LittleEndian.AppendUint64(head, generation)
	head = binary.LittleEndian.AppendUint32(head, sum(0, head))
	j.broken = true // until it is known which header is there
	if _, err := j.file.WriteAt(head, 0); err != nil {
		return err
	}
	if err := j.file.Sync(); err != nil {
		return err
	}
	j.generation, j.used, j.broken = generation, used, false
	return nil
}

// fits reports whether a record has room.
func (j *journal) fits(record []byte) bool {
	return !j.broken && j.used+int64(len(record)) <= j.begin(j.generation)+j.half
}

// append writes a record and syncs it.
func (j *journal) append(record []byte) error {
	_, err := j.file.WriteAt(record, j.used)
	if err == nil {
		err = unix.Fdatasync(int(j.file.Fd()))
	}
	if err != nil {
		// It must not be read back: nobody was told that it is kept.
		j.broken = true
		_, _ = j.file.WriteAt(make([]byte, recordHeader), j.used)
		_ = unix.Fdatasync(int(j.file.Fd()))
		return fmt.Errorf("journal: %w", err)
	}
	j.used += int64(len(record))
	return nil
}

// record makes the record of changes: names of files and their data, nil when
// the file is gone.
func record(files map[string][]byte, generation uint64) []byte {
	size := recordHeader + 16
	for name, data := range files {
		size += len(name) + len(data) + 16
	}
	b := make([]byte, recordHeader, size)
	b = binary.AppendUvarint(b, uint64(len(files)))
	for name, data := range files {
		b = appendBytes(b, name)
		if data == nil {
			b = append(b, 0)
			continue
		}
		b = binary.AppendUvarint(append(b, 1), uint64(len(data)))
		b = append(b, data...)
	}
	copy(b, recordMagic)
	binary.LittleEndian.PutUint32(b[len(recordMagic):], uint32(len(b)-recordHeader))
	binary.LittleEndian.PutUint32(b[len(recordMagic)+4:], sum(generation, b[recordHeader:]))
	return b
}

// files gives the newest state of each file that the records tell of.
func (j *journal) files() (map[string][]byte, error) {
	begin := j.begin(j.generation)
	b := make([]byte, j.used-begin)
	if _, err := j.file.ReadAt(b, begin); err != nil {
		return nil, err
	}
	files, damaged := readRecords(b, j.generation)
	if damaged {
		return nil, errors.New("the journal does not read back what was written")
	}
	return files, nil
}

// readJournal opens what a run before this one left: nil when there is none.
// damaged says that something in the middle, or all of it, cannot be read: the
// files are what could be.
func readJournal(path string) (j *journal, files map[string][]byte, damaged bool, err error) {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil, false, nil
	}
	if err != nil {
		return nil, nil, false, err
	}
	b, err := io.ReadAll(io.LimitReader(f, maxJournal))
	if err != nil {
		return nil, nil, false, errors.Join(err, f.Close())
	}
	j = &journal{file: f, half: int64(len(b)-journalHeader) / 2}
	if len(b) < journalHeader || len(bytes.Trim(b[:journalHeader], "\x00")) == 0 {
		return nil, nil, false, f.Close() // the crash came before it began
	}
	head := b[:journalHeader]
	if string(head[:len(journalMagic)]) != journalMagic || binary.LittleEndian.Uint32(head[journalHeader-4:]) != sum(0, head[:journalHeader-4]) {
		return j, nil, true, nil
	}
	if v := binary.LittleEndian.Uint32(head[len(journalMagic):]); v != journalVersion {
		return nil, nil, false, errors.Join(newerVersion(v), f.Close())
	}
	j.generation = binary.LittleEndian.Uint64(head[len(journalMagic)+4:])
	begin := j.begin(j.generation)
	files, damaged = readRecords(b[begin:begin+j.half], j.generation)
	return j, files, damaged, nil
}

const maxJournal = 1 << 30 // far more than any that was written

// readRecords reads records up to the first that is none. One behind that which
// is one again means that something in between was damaged.
func readRecords(b []byte, generation uint64) (files map[string][]byte, damaged bool) {
	files = map[string][]byte{}
	gap := false
	for len(b) >= recordHeader {
		n, ok := readRecord(b, generation, files)
		if ok {
			damaged = damaged || gap
			b = b[n:]
			continue
		}
		gap = true
		next := bytes.Index(b[1:], []byte(recordMagic))
		if next < 0 {
			break
		}
		b = b[1+next:]
	}
	return files, damaged
}

// readRecord reads one record into files and gives its length.
func readRecord(b []byte, generation uint64, files map[string][]byte) (n int, ok bool) {
	if !bytes.HasPrefix(b, []byte(recordMagic)) {
		return 0, false
	}
	length := int64(binary.LittleEndian.Uint32(b[len(recordMagic):]))
	if length > int64(len(b)-recordHeader) {
		return 0, false
	}
	content := b[recordHeader : recordHeader+int(length)]
	if sum(generation, content) != binary.LittleEndian.Uint32(b[len(recordMagic)+4:]) {
		return 0, false
	}
	r := reader{rest: content}
	found := map[string][]byte{}
	for range r.count(2) {
		name := r.string()
		if flag := r.uvarint(); flag == 0 {
			found[name] = nil
		} else {
			found[name] = append([]byte{}, r.string()...)
		}
	}
	if r.err != nil || len(r.rest) > 0 {
		return 0, false
	}
	for name, data := range found {
		if !isGroupFile(name) {
			return 0, false
		}
		files[name] = data
	}
	return recordHeader + int(length), true
}

// isGroupFile keeps a journal from naming anything else.
func isGroupFile(name string) bool {
	if len(name) != 32+len(groupSuffix) || name[32:] != groupSuffix {
		return false
	}
	for _, c := range name[:32] {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}
