package resolve

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/miekg/dns"
)

const (
	// patience is how long one name server may take for one answer.
	patience = 2 * time.Second
	// passes is how often all name servers are asked one question.
	passes = 2
	// deaf is how many questions in a row must find nobody for the rest of a
	// round to be given up.
	deaf = 2
	// bufferSize is what is told to the server: what passes every path
	// unfragmented (RFC 9715).
	bufferSize = 1232
	// maxRecords bounds the records taken from one answer.
	maxRecords = 32
	// maxAliases bounds a chain of CNAMEs.
	maxAliases = 8
	// negativeTTL is that of "there is none" without a SOA.
	negativeTTL = 5 * time.Minute
)

var (
	errSilent = errors.New("no name server answers; is the line up, and are the servers in resolv.conf right?")
	errLame   = errors.New("knows no answer and recommends others")
	errOther  = errors.New("answers another question")
	errLoop   = errors.New("too many CNAMEs")
)

// exchanger puts one message to one name server, over "udp" or "tcp".
type exchanger func(ctx context.Context, m *dns.Msg, server netip.AddrPort, network string) (*dns.Msg, error)

// overSocket is the exchanger of the product. The end of ctx ends it at once.
func overSocket(ctx context.Context, m *dns.Msg, server netip.AddrPort, network string) (*dns.Msg, error) {
	client := &dns.Client{Net: network, Timeout: patience, UDPSize: bufferSize}
	conn, err := client.DialContext(ctx, server.String())
	if err != nil {
		return nil, err
	}
	release := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer func() {
		if release() {
			_ = conn.Close() // the answer is in, or given up
		}
	}()
	answer, _, err := client.ExchangeWithConnContext(ctx, m, conn)
	return answer, err
}

// question is what is asked; name is lower case with its final dot.
type question struct {
	name string
	kind uint16
}

func (q question) String() string { return dns.TypeToString[q.kind] + " " + q.name }

// answer is what is known to a question. No records is an answer as well.
type answer struct {
	records []dns.RR
	ttl     time.Duration
	alias   string // the chain of CNAMEs ends here, without the record asked for
	missing bool   // the name doesn't exist
}

// asker puts questions to the name servers for the length of one round.
type asker struct {
	exchange exchanger
	servers  []netip.AddrPort
	first    int // the server that answered last is asked first
	// silent counts the last questions that found nobody: after one the next is
	// asked in one pass only, since some forwarders drop types that they don't
	// know; after deaf of them nobody is there, and the round need not wait.
	silent int
}

// query asks until a server knows: all of them in turn, twice.
func (a *asker) query(ctx context.Context, q question) (answer, error) {
	whole := answer{ttl: maxRefresh}
	for range maxAliases {
		got, err := a.put(ctx, q)
		if err != nil {
			return answer{}, err
		}
		whole.ttl = min(whole.ttl, got.ttl)
		whole.records, whole.missing = got.records, got.missing
		if got.alias == "" {
			return whole, nil
		}
		q.name = got.alias
	}
	return answer{}, fmt.Errorf("%v: %w", q, errLoop)
}

func (a *asker) put(ctx context.Context, q question) (answer, error) {
	times := passes
	switch {
	case a.silent >= deaf:
		return answer{}, errSilent
	case a.silent > 0:
		times = 1
	}
	err, heard := errors.New("no name server is known"), false
	for i := range times * len(a.servers) {
		at := (a.first + i) % len(a.servers)
		r, problem := a.one(ctx, q, a.servers[at])
		if problem == nil {
			a.first, a.silent = at, 0
			return gather(r, q), nil
		}
		heard = heard || r != nil
		err = fmt.Errorf("asking %v for %v: %w", a.servers[at], q, problem)
		if ctx.Err() != nil {
			return answer{}, err
		}
	}
	if heard {
		a.silent = 0
	} else {
		a.silent++
	}
	return answer{}, err
}

// one puts a question to one server, over TCP if the answer is too long for
// UDP, and without EDNS0 if the server doesn't know that (RFC 6891 7). A
// message beside an error says that the server is there.
func (a *asker) one(ctx context.Context, q question, server netip.AddrPort) (*dns.Msg, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	m := new(dns.Msg).SetQuestion(q.name, q.kind)
	m.SetEdns0(bufferSize, false)
	r, err := a.send(ctx, m, server)
	if err == nil && (r.Rcode == dns.RcodeFormatError || r.Rcode == dns.RcodeNotImplemented || r.Rcode == dns.RcodeBadVers) {
		r, err = a.send(ctx, new(dns.Msg).SetQuestion(q.name, q.kind), server)
	}
	switch {
	case err != nil:
		return nil, err
	case !r.Response || len(r.Question) != 1 || r.Question[0].Qtype != q.kind || !strings.EqualFold(r.Question[0].Name, q.name):
		return r, errOther
	case r.Rcode != dns.RcodeSuccess && r.Rcode != dns.RcodeNameError:
		return r, fmt.Errorf("it answers %s", dns.RcodeToString[r.Rcode])
	case lame(r):
		return r, errLame
	}
	return r, nil
}

func (a *asker) send(ctx context.Context, m *dns.Msg, server netip.AddrPort) (*dns.Msg, error) {
	r, err := a.exchange(ctx, m, server, "udp")
	if r != nil && r.Truncated { // cut within a record it comes with an error
		return a.exchange(ctx, m, server, "tcp")
	}
	return r, err
}

// lame says that a server refers to others instead of asking them for us.
func lame(r *dns.Msg) bool {
	if r.Rcode != dns.RcodeSuccess || r.Authoritative || len(r.Answer) > 0 {
		return false
	}
	_, found := denial(r)
	return len(r.Ns) > 0 && !found
}

// denial is how long "there is none" holds (RFC 2308 5).
func denial(r *dns.Msg) (time.Duration, bool) {
	for _, rr := range r.Ns {
		if soa, ok := rr.(*dns.SOA); ok {
			return min(seconds(soa.Hdr.Ttl), seconds(soa.Minttl)), true
		}
	}
	return negativeTTL, false
}

// seconds reads a TTL; one with the top bit set is 0 (RFC 2181 8).
func seconds(ttl uint32) time.Duration {
	if ttl > 1<<31-1 {
		return 0
	}
	return time.Duration(ttl) * time.Second
}

// gather follows the CNAMEs within an answer to the records that were asked for.
func gather(r *dns.Msg, q question) answer {
	a := answer{ttl: maxRefresh, missing: r.Rcode == dns.RcodeNameError}
	name := q.name
	for range maxAliases {
		next := ""
		for _, rr := range r.Answer {
			h := rr.Header()
			if h.Class != dns.ClassINET || !strings.EqualFold(h.Name, name) {
				continue
			}
			alias, isAlias := rr.(*dns.CNAME)
			switch {
			case h.Rrtype == q.kind && len(a.records) < maxRecords:
				a.records = append(a.records, rr)
				a.ttl = min(a.ttl, seconds(h.Ttl))
			case isAlias && next == "":
				next = strings.ToLower(alias.Target)
				a.ttl = min(a.ttl, seconds(h.Ttl))
			}
		}
		if len(a.records) > 0 {
			a.missing = false
			return a
		}
		if next == "" {
			break
		}
		name = next
	}
	ttl, denied := denial(r)
	if name != q.name && !denied && !a.missing {
		a.alias = name
		return a
	}
	a.ttl = min(a.ttl, ttl)
	return a
}
