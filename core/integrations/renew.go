package integrations

import (
	"errors"

	"vitals/core/integrations/kit"
)

// renew gives a job new settings, without logins: live where that works, else by
// a new unit. It needs m.mu, which it gives up while a kind's own code runs.
func (m *Manager) renew(j *job, r recipe) (Change, error) {
	was := j.base
	j.base = r.settings
	r.settings = m.choices.withLogin(j.kind, j.id, r.settings)
	digest := j.kind.Digest(m.key, r.settings, *m.shared.Load())
	j.mu.Lock()
	same := j.digest == digest || m.sameShared(j) && j.kind.Equal(j.settings, r.settings)
	stays, u := j.where == r.where, j.unit
	sameOptions := j.options.equal(r.options)
	j.bad = nil
	if same && stays {
		j.options = r.options
	}
	j.mu.Unlock()
	switch {
	case same && stays && sameOptions:
		return Unchanged, nil
	case same && stays:
		if u != nil {
			u.soon() // a new interval begins now
		}
		return Updated, nil
	case stays && u != nil && m.sameShared(j):
		m.mu.Unlock()
		err := u.update(r.settings)
		m.mu.Lock()
		switch {
		case err == nil:
			j.take(r, digest)
			return Updated, nil
		case !errors.Is(err, kit.ErrNeedsRemake):
			j.base = was
			j.mu.Lock()
			j.bad = err
			j.mu.Unlock()
			return Kept, err
		}
		m.cfg.Log.Debug("an integration is made anew", "unit", j.id, "error", err)
	}
	j.take(r, digest)
	m.remake(j)
	return Remade, nil
}

// take makes settings the ones that are remembered.
func (j *job) take(r recipe, digest string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.settings, j.options, j.where, j.digest, j.bad = r.settings, r.options, r.where, digest, nil
	j.shared = *j.m.shared.Load()
	j.refused = 0
}

// remake asks for a new unit. It needs m.mu.
func (m *Manager) remake(j *job) {
	m.prints++
	j.mu.Lock()
	j.made = m.prints
	j.mu.Unlock()
	m.changed = true
}

// sameShared reports whether a job was made with the shared settings that hold.
func (m *Manager) sameShared(j *job) bool {
	now := m.shared.Load()
	return j.shared.Instance == now.Instance && textOf(j.shared.BaseURL) == textOf(now.BaseURL)
}
