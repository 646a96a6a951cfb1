package requests

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf"

	"vitals/core"
)

const choiceOn = 1 // ON in requests.bpf.c

// selection mirrors the kernel's exceptions.
type selection struct {
	side       *side
	byDefault  bool
	generation uint32
	since      uint32              // the generation of byDefault
	exceptions map[int32]exception // by pid
}

type exception struct {
	birth uint64
	on    bool
}

// apply writes a change to the kernel. The generation goes last: every socket
// takes its decision anew at its next operation.
func (s *selection) apply(change core.Selection) error {
	changed := s.generation == 0 || change.Default != s.byDefault
	for _, key := range change.Clear {
		cleared, err := s.clear(key)
		if err != nil {
			return fmt.Errorf("clear the choice for process %d: %w", key.PID, err)
		}
		changed = changed || cleared
	}
	if s.exceptions == nil {
		s.exceptions = make(map[int32]exception, len(change.Set))
	}
	for key, on := range change.Set {
		e := exception{key.Birth, on}
		if s.exceptions[key.PID] == e {
			continue
		}
		v := requestsException{Birth: key.Birth, Since: s.generation + 1}
		if on {
			v.Choice = choiceOn
		}
		if err := s.side.exceptions.Put(uint32(key.PID), v); err != nil {
			return fmt.Errorf("choose for process %d: %w", key.PID, err)
		}
		s.exceptions[key.PID] = e
		changed = true
	}
	if !changed {
		return nil
	}
	if change.Default != s.byDefault {
		s.byDefault, s.since = change.Default, s.generation+1
	}
	return s.publish()
}

// clear removes an exception, the process' own or one that the kernel let it
// inherit, and says whether there was one.
func (s *selection) clear(key core.ProcKey) (bool, error) {
	if e, ok := s.exceptions[key.PID]; ok && e.birth == key.Birth {
		delete(s.exceptions, key.PID)
	}
	var v requestsException
	err := s.side.exceptions.Lookup(uint32(key.PID), &v)
	if err == nil && v.Birth == key.Birth {
		err = s.side.exceptions.Delete(uint32(key.PID))
	}
	if errors.Is(err, ebpf.ErrKeyNotExist) {
		return false, nil
	}
	return err == nil && v.Birth == key.Birth, err
}

func (s *selection) publish() error {
	used := uint32(min(len(s.exceptions), 1))
	if used == 0 {
		// What children inherited went with the choice that they inherited.
		if err := clearMap(s.side.exceptions); err != nil {
			return err
		}
	}
	var byDefault uint32
	if s.byDefault {
		byDefault = 1
	}
	s.generation++
	return errors.Join(
		s.side.observeDefault.Set(byDefault),
		s.side.defaultSince.Set(s.since),
		s.side.exceptionsUsed.Set(used),
		s.side.generation.Set(s.generation),
	)
}

func clearMap(m *ebpf.Map) error {
	var pid uint32
	for m.NextKey(nil, &pid) == nil {
		if err := m.Delete(pid); err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
			return fmt.Errorf("clear choices: %w", err)
		}
	}
	return nil
}
