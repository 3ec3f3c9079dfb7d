package cloud

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/emiago/sipgo/sip"

	"linekeeper/appliance/lab/ua"
)

// subscriber is an account with its bindings.
type subscriber struct {
	account  Account
	bindings []Binding
	wrong    int  // credentials in a row
	locked   bool // by too many of them
}

// Binding is where an account can be reached.
type Binding struct {
	Contact string
	Source  string // the flow that it registered on
	Expires time.Time
	uri     sip.Uri
	listen  int // index of the listener that it came in on
}

// Registration is one REGISTER that was answered, with or without success.
type Registration struct {
	Account string
	At      time.Time
	Contact string
	Source  string
	Expires time.Duration
	Code    int
}

func (c *Cloud) addLocked(a Account) {
	c.accounts[a.User] = &subscriber{account: a}
	if a.Public != "" {
		c.byNumber[digits(a.Public)] = a.User
	}
}

// SetPassword changes an account's password from the next challenge on.
func (c *Cloud) SetPassword(user, password string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if s := c.accounts[user]; s != nil {
		s.account.Password = password
	}
}

// Bindings are the live bindings of an account.
func (c *Cloud) Bindings(user string) []Binding {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.liveLocked(user))
}

// liveLocked drops what has expired and gives the rest, newest last.
func (c *Cloud) liveLocked(user string) []Binding {
	s := c.accounts[user]
	if s == nil {
		return nil
	}
	now := time.Now()
	s.bindings = slices.DeleteFunc(s.bindings, func(b Binding) bool { return !b.Expires.After(now) })
	return s.bindings
}

// Registrations are the REGISTERs answered so far, oldest first, challenges left out.
func (c *Cloud) Registrations() []Registration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.records)
}

// WaitRecords waits until at least n REGISTERs are on record.
func (c *Cloud) WaitRecords(ctx context.Context, n int) error {
	have := 0
	err := c.wait(ctx, func() bool { have = len(c.records); return have >= n })
	if err != nil {
		return fmt.Errorf("%d of %d registrations: %w", have, n, err)
	}
	return nil
}

// WaitRegistered waits until all the users, or all accounts if none is named, are registered.
func (c *Cloud) WaitRegistered(ctx context.Context, users ...string) error {
	if len(users) == 0 {
		for _, a := range c.cfg.Accounts {
			users = append(users, a.User)
		}
	}
	var lacking string
	err := c.wait(ctx, func() bool {
		for _, u := range users {
			if len(c.liveLocked(u)) == 0 {
				lacking = u
				return false
			}
		}
		return true
	})
	if err != nil {
		return fmt.Errorf("waiting for registrations, account %s has none: %w", lacking, err)
	}
	return nil
}

// WaitUnregistered waits until the account has no binding.
func (c *Cloud) WaitUnregistered(ctx context.Context, user string) error {
	err := c.wait(ctx, func() bool { return len(c.liveLocked(user)) == 0 })
	if err != nil {
		return fmt.Errorf("account %s is still registered: %w", user, err)
	}
	return nil
}

// Forget takes all bindings away, as a restarted registrar would.
func (c *Cloud) Forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range c.accounts {
		s.bindings = nil
	}
	c.tellLocked()
}

// register serves REGISTER (RFC 3261 10.3).
func (c *Cloud) register(a *ua.Agent, req *sip.Request, tx *sip.ServerTx) {
	user := req.To().Address.User
	c.count(func(s *Stats) { s.Registers++ })
	if !c.paced(req, user) {
		c.record(req, user, 0, 503)
		a.Respond(tx, req, 503, "Too Fast", sip.NewHeader("Retry-After", "1"))
		return
	}
	switch v := c.judge(req, "Authorization", user); v {
	case proven:
	case missing, outdated:
		a.Respond(tx, req, 401, "Unauthorized", c.challenges("WWW-Authenticate", v == outdated)...)
		return
	case wrong:
		c.record(req, user, 0, 403)
		c.count(func(s *Stats) { s.BadCredentials++ })
		c.wrongTry(user)
		a.Respond(tx, req, 403, "Forbidden")
		return
	}
	if c.tooShort(req) {
		c.record(req, user, 0, 423)
		a.Respond(tx, req, 423, "Interval Too Brief", minExpires(c.cfg.Rules.Shortest))
		return
	}
	granted, code, bindings := c.bind(a, req, user)
	c.record(req, user, granted, code)
	if code != 200 {
		a.Respond(tx, req, code, "Registration Refused")
		return
	}
	headers := make([]sip.Header, 0, len(bindings)+2)
	for _, b := range bindings {
		h := &sip.ContactHeader{Address: b.uri}
		left := time.Until(b.Expires).Round(time.Second)
		h.Params.Add("expires", strconv.Itoa(int(left.Seconds())))
		headers = append(headers, h)
	}
	headers = append(headers, sip.NewHeader("Date", time.Now().UTC().Format("Mon, 02 Jan 2006 15:04:05 GMT")))
	if number := c.public(user); number != "" {
		headers = append(headers, sip.NewHeader("P-Associated-URI", "<sip:"+number+"@"+c.cfg.Domain+">"))
	}
	a.Respond(tx, req, 200, "OK", headers...)
}

func (c *Cloud) public(user string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if s := c.accounts[user]; s != nil {
		return s.account.Public
	}
	return ""
}

// bind changes the account's bindings as the REGISTER says.
func (c *Cloud) bind(a *ua.Agent, req *sip.Request, user string) (granted time.Duration, code int, all []Binding) {
	c.mu.Lock()
	defer c.mu.Unlock()
	live := c.liveLocked(user)
	s := c.accounts[user]
	h := req.Contact()
	if h == nil {
		return 0, 200, slices.Clone(live)
	}
	granted = min(asked(req, h, c.cfg.Expires), c.cfg.Expires)
	if h.Address.Wildcard {
		s.bindings = nil
		c.tellLocked()
		return 0, 200, nil
	}
	contact := h.Address.String()
	others := slices.DeleteFunc(slices.Clone(live), func(b Binding) bool { return b.Contact == contact })
	if granted > 0 && c.cfg.Exclusive && len(others) > 0 {
		c.stats.Intrusions++
		return 0, 403, nil
	}
	if granted > 0 && c.cfg.Rules.Kick {
		c.stats.Intrusions += uint64(len(others))
		others = nil
	}
	if granted > 0 && len(others) >= maxContacts {
		return 0, 403, nil
	}
	s.bindings = others
	if granted > 0 {
		s.bindings = append(s.bindings, Binding{
			Contact: contact, Source: req.Source(), Expires: time.Now().Add(granted),
			uri: *h.Address.Clone(), listen: slices.Index(c.agents, a),
		})
	}
	c.tellLocked()
	return granted, 200, slices.Clone(s.bindings)
}

// asked is the expiry that the REGISTER asks for (RFC 3261 10.2.1.1).
func asked(req *sip.Request, contact *sip.ContactHeader, otherwise time.Duration) time.Duration {
	value := ""
	if h := req.GetHeader("Expires"); h != nil {
		value = h.Value()
	}
	value = contact.Params.GetOr("expires", value)
	n, err := strconv.ParseUint(value, 10, 31)
	if err != nil {
		return otherwise
	}
	return time.Duration(n) * time.Second
}

func (c *Cloud) record(req *sip.Request, user string, expires time.Duration, code int) {
	r := Registration{Account: user, At: time.Now(), Source: req.Source(), Expires: expires, Code: code}
	if h := req.Contact(); h != nil {
		r.Contact = h.Address.String()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.records) < maxRecords {
		c.records = append(c.records, r)
	}
	if code == 200 {
		c.stats.Registered++
	}
	c.tellLocked()
}
