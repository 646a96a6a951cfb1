package kit

import "errors"

// What an integration says with its errors. Wrap them, with what happened:
// fmt.Errorf("log in as %s: %w", user, kit.ErrCredentials).
var (
	// ErrCredentials: the server is there and wants a login that nobody gave, or
	// not this one. It is tried again after minutes, not seconds, so that no log
	// fills with refused logins.
	ErrCredentials = errors.New("credentials are needed")
	// ErrRights: the login works and may not read what is wanted (see Grants).
	ErrRights = errors.New("rights are missing")
	// ErrConsent: it would work without a password, as the server's own user, if
	// the user agreed (Login.Ambient).
	ErrConsent = errors.New("consent is needed")
	// ErrOther: something else answers there. It is not asked again.
	ErrOther = errors.New("it is something else")
	// ErrNotOffered: it is such a server and does not offer its figures there; the
	// error says what to add to its configuration.
	ErrNotOffered = errors.New("its figures are not offered")
	// ErrNeedsRemake: these settings cannot be applied to a running collector.
	ErrNeedsRemake = errors.New("a new collector is needed")
)
