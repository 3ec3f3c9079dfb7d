package ng

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"syscall"
	"time"
)

// Client talks to one rtpengine: a cookie, a blank and a bencoded dictionary
// in a datagram. It is for one goroutine.
type Client struct {
	conn net.Conn
	next int
	room [1 << 16]byte
}

// Dial opens a socket toward the control port of an rtpengine.
func Dial(at netip.AddrPort) (*Client, error) {
	c, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(at))
	if err != nil {
		return nil, fmt.Errorf("rtpengine: %w", err)
	}
	return &Client{conn: c}, nil
}

// Close gives the socket back.
func (g *Client) Close() error { return g.conn.Close() }

// Ask sends a command again until it is answered, and yields the answer.
func (g *Client) Ask(words map[string]any) (map[string]any, error) {
	g.next++
	cookie := fmt.Appendf(nil, "b%d ", g.next)
	msg := appendBencode(bytes.Clone(cookie), words)
	for range 10 {
		if _, err := g.conn.Write(msg); err != nil && !errors.Is(err, syscall.ECONNREFUSED) {
			return nil, fmt.Errorf("rtpengine: %w", err)
		}
		_ = g.conn.SetReadDeadline(time.Now().Add(500 * time.Millisecond))
		for {
			n, err := g.conn.Read(g.room[:])
			if err != nil {
				break // asked again
			}
			text, ok := bytes.CutPrefix(g.room[:n], cookie)
			if !ok {
				continue
			}
			v, _, err := bencoded(text)
			answer, is := v.(map[string]any)
			if err != nil || !is {
				return nil, fmt.Errorf("rtpengine: unreadable answer: %w", errors.Join(err, errBencode))
			}
			if answer["result"] == "error" {
				return nil, fmt.Errorf("rtpengine: %v", answer["error-reason"])
			}
			return answer, nil
		}
	}
	return nil, errors.New("rtpengine: no answer")
}

var errBencode = errors.New("no bencoded dictionary")

// appendBencode writes strings, lists of strings and dictionaries.
func appendBencode(b []byte, v any) []byte {
	switch v := v.(type) {
	case string:
		return append(strconv.AppendInt(b, int64(len(v)), 10), ":"+v...)
	case []string:
		b = append(b, 'l')
		for _, s := range v {
			b = appendBencode(b, s)
		}
		return append(b, 'e')
	case map[string]any:
		b = append(b, 'd')
		for _, k := range slices.Sorted(maps.Keys(v)) {
			b = appendBencode(appendBencode(b, k), v[k])
		}
		return append(b, 'e')
	}
	return b
}

// bencoded reads one value and yields what follows.
func bencoded(b []byte) (any, []byte, error) {
	if len(b) == 0 {
		return nil, nil, errBencode
	}
	switch b[0] {
	case 'i':
		text, rest, ok := bytes.Cut(b[1:], []byte("e"))
		n, err := strconv.Atoi(string(text))
		if !ok || err != nil {
			return nil, nil, errBencode
		}
		return n, rest, nil
	case 'l', 'd':
		list, rest, err := bencodedList(b[1:])
		if err != nil || b[0] == 'l' {
			return list, rest, err
		}
		m := make(map[string]any)
		for i := 0; i+1 < len(list); i += 2 {
			k, _ := list[i].(string)
			m[k] = list[i+1]
		}
		return m, rest, nil
	}
	text, rest, ok := bytes.Cut(b, []byte(":"))
	n, err := strconv.Atoi(string(text))
	if !ok || err != nil || n < 0 || n > len(rest) {
		return nil, nil, errBencode
	}
	return string(rest[:n]), rest[n:], nil
}

func bencodedList(b []byte) (list []any, rest []byte, err error) {
	for len(b) > 0 && b[0] != 'e' {
		var v any
		if v, b, err = bencoded(b); err != nil {
			return nil, nil, err
		}
		list = append(list, v)
	}
	if len(b) == 0 {
		return nil, nil, errBencode
	}
	return list, b[1:], nil
}
