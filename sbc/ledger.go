package sbc

import (
	"log/slog"
	"net/netip"
	"slices"
	"sync"
	"time"
)

const (
	// maxAccounts bounds the cloud accounts whose phones register through the box.
	maxAccounts = 1024
	// maxDevices bounds the devices remembered of one account.
	maxDevices = 10
	// proofLife is how long a device is remembered after it last proved itself to
	// the cloud.
	proofLife = 90 * 24 * time.Hour
)

// Passage is a cloud account whose phones hold its credentials themselves and
// register through the box. It is a value: what a look-up returns may be kept.
type Passage struct {
	// User is the user part of its address of record.
	User string `json:"user"`
	// Extension is the internal number of its phones.
	Extension string `json:"extension"`
	// Display is the name that its phones give.
	Display string `json:"display,omitempty"`
	// Numbers are the user parts of the other identities that the cloud has told
	// (P-Associated-URI, subscriber data), Extensions its short numbers.
	Numbers    []string `json:"numbers,omitempty"`
	Extensions []string `json:"extensions,omitempty"`
	// Granted is how long the cloud keeps a registration, Expires when the present
	// one runs out there.
	Granted time.Duration `json:"granted,omitempty"`
	Expires time.Time     `json:"expires"`
	// Routes is the Service-Route that the cloud gave (RFC 3608).
	Routes []string `json:"routes,omitempty"`
	// Devices have proved to the cloud that they hold the credentials.
	Devices []Device `json:"devices"`
}

// Device is one telephone that has proved itself.
type Device struct {
	// Addr is where it registered from.
	Addr netip.Addr `json:"addr"`
	// Instance is its +sip.instance without brackets (RFC 5626 4.1), if any.
	Instance string `json:"instance,omitempty"`
	// Agent is what it calls itself.
	Agent string `json:"agent,omitempty"`
	// Proved is when the cloud last accepted its credentials.
	Proved time.Time `json:"proved"`
}

// is says whether d and e are one device: by the instance where both name one,
// else by the address.
func (d *Device) is(e *Device) bool {
	if d.Instance != "" && e.Instance != "" {
		return d.Instance == e.Instance
	}
	return d.Addr == e.Addr
}

// proved says whether a device of this address or instance has proved itself not
// too long ago.
func (a *Passage) proved(now time.Time, addr netip.Addr, instance string) bool {
	return slices.ContainsFunc(a.Devices, func(d Device) bool {
		known := d.Addr == addr || d.Instance != "" && d.Instance == instance
		return known && now.Sub(d.Proved) < proofLife
	})
}

// ledger remembers accounts and the devices that proved themselves. It may be
// used from everywhere.
type ledger struct {
	behind *behind[Passage]

	mu       sync.RWMutex
	accounts map[string]Passage // values are never written to once stored
}

func newLedger(saver Saver[Passage], log *slog.Logger) *ledger {
	return &ledger{behind: newBehind(saver, log), accounts: make(map[string]Passage)}
}

// load fills an empty ledger with what was saved. It is called before traffic.
func (l *ledger) load() error {
	saved, err := l.behind.load()
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for user, a := range saved {
		if len(l.accounts) < maxAccounts {
			a.Devices = a.Devices[:min(len(a.Devices), maxDevices)]
			l.accounts[user] = a
		}
	}
	return nil
}

// get gives an account; ok is false for one that no device has proved itself for.
func (l *ledger) get(user string) (a Passage, ok bool) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	a, ok = l.accounts[user]
	return a, ok
}

// all lists the accounts in no order.
func (l *ledger) all() []Passage {
	l.mu.RLock()
	defer l.mu.RUnlock()
	out := make([]Passage, 0, len(l.accounts))
	for _, a := range l.accounts {
		out = append(out, a)
	}
	return out
}

// find is the account that a condition holds for; the one whose name comes first
// where there are several.
func (l *ledger) find(is func(*Passage) bool) (Passage, bool) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	var found *Passage
	for _, a := range l.accounts {
		if is(&a) && (found == nil || a.User < found.User) {
			found = &a
		}
	}
	if found == nil {
		return Passage{}, false
	}
	return *found, true
}

// prove notes that a device has proved itself for an account, and what the cloud
// told; a's own devices are ignored. Where there is no room the account, or the
// device, that proved itself longest ago is forgotten.
func (l *ledger) prove(a Passage, d Device) {
	l.mu.Lock()
	defer l.mu.Unlock()
	old := l.accounts[a.User]
	a.Devices = append([]Device{d}, slices.DeleteFunc(slices.Clone(old.Devices), func(o Device) bool { return o.is(&d) })...)
	a.Devices = a.Devices[:min(len(a.Devices), maxDevices)]
	if _, known := l.accounts[a.User]; !known && len(l.accounts) >= maxAccounts {
		l.dropOldestLocked()
	}
	l.accounts[a.User] = a
	l.behind.note(a.User, &a)
}

// left notes that an account is registered in the cloud no longer; its devices
// stay proved.
func (l *ledger) left(user string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	a, ok := l.accounts[user]
	if !ok {
		return
	}
	a.Expires = time.Time{}
	l.accounts[user] = a
	l.behind.note(user, &a)
}

// refuse forgets a device whose credentials the cloud accepts no longer. An
// account without any device is forgotten with it.
func (l *ledger) refuse(user string, addr netip.Addr, instance string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	a, ok := l.accounts[user]
	if !ok {
		return
	}
	a.Devices = slices.DeleteFunc(slices.Clone(a.Devices), func(d Device) bool {
		return d.Addr == addr || d.Instance != "" && d.Instance == instance
	})
	if len(a.Devices) == 0 {
		delete(l.accounts, user)
		l.behind.note(user, nil)
		return
	}
	l.accounts[user] = a
	l.behind.note(user, &a)
}

func (l *ledger) dropOldestLocked() {
	var oldest string
	var at time.Time
	for user, a := range l.accounts {
		last := time.Time{}
		for _, d := range a.Devices {
			if d.Proved.After(last) {
				last = d.Proved
			}
		}
		if oldest == "" || last.Before(at) {
			oldest, at = user, last
		}
	}
	delete(l.accounts, oldest)
	l.behind.note(oldest, nil)
}
