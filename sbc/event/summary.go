package event

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Counts is what lies in a mailbox.
type Counts struct {
	New       int `json:"new"`
	Old       int `json:"old"`
	UrgentNew int `json:"urgent_new,omitempty"`
	UrgentOld int `json:"urgent_old,omitempty"`
	// Waiting lights the lamp where the source told no counts.
	Waiting bool `json:"waiting,omitempty"`
}

// Lit says whether the lamp of the phone burns.
func (c Counts) Lit() bool { return c.Waiting || c.New > 0 || c.UrgentNew > 0 }

// Add is both mailboxes together.
func (c Counts) Add(o Counts) Counts {
	return Counts{clamp(c.New + o.New), clamp(c.Old + o.Old), clamp(c.UrgentNew + o.UrgentNew), clamp(c.UrgentOld + o.UrgentOld), c.Waiting || o.Waiting}
}

// Bounds of a summary.
const (
	maxCount   = 9999
	maxSummary = 8192 // bytes
)

func clamp(n int) int { return min(max(n, 0), maxCount) }

// MessageSummary writes the simple-message-summary of a mailbox (RFC 3842 5).
// Account is the mailbox's URI.
func MessageSummary(account string, c Counts) []byte {
	var b bytes.Buffer
	lamp := "no"
	if c.Lit() {
		lamp = "yes"
	}
	fmt.Fprintf(&b, "Messages-Waiting: %s\r\n", lamp)
	if account != "" {
		fmt.Fprintf(&b, "Message-Account: %s\r\n", account)
	}
	fmt.Fprintf(&b, "Voice-Message: %d/%d (%d/%d)\r\n", clamp(c.New), clamp(c.Old), clamp(c.UrgentNew), clamp(c.UrgentOld))
	return b.Bytes()
}

// errSummary says that a body is no message summary.
var errSummary = errors.New("no message summary")

// ParseSummary reads a simple-message-summary. Classes other than voice are left
// out, unknown lines skipped. Error: Messages-Waiting is missing or unreadable.
func ParseSummary(body []byte) (Counts, error) {
	if len(body) > maxSummary {
		return Counts{}, fmt.Errorf("%w: %d bytes", errSummary, len(body))
	}
	var c Counts
	lit, told, counted := false, false, false
	for line := range strings.Lines(string(body)) {
		name, value, ok := strings.Cut(line, ":")
		if !ok {
			continue
		}
		value = strings.TrimSpace(value)
		switch strings.ToLower(strings.TrimSpace(name)) {
		case "messages-waiting":
			switch strings.ToLower(value) {
			case "yes":
				lit, told = true, true
			case "no":
				lit, told = false, true
			}
		case "voice-message":
			counts, ok := parseCounts(value)
			if ok {
				c, counted = counts, true
			}
		}
	}
	if !told {
		return Counts{}, errSummary
	}
	if lit && (!counted || !c.Lit()) {
		c.Waiting = true
	}
	if !lit { // the lamp is what counts
		c.New, c.UrgentNew = 0, 0
	}
	return c, nil
}

// parseCounts reads "new/old (urgent-new/urgent-old)".
func parseCounts(s string) (c Counts, ok bool) {
	main, urgent, _ := strings.Cut(s, "(")
	if c.New, c.Old, ok = pair(main); !ok {
		return Counts{}, false
	}
	c.UrgentNew, c.UrgentOld, _ = pair(strings.TrimSuffix(strings.TrimSpace(urgent), ")"))
	return c, true
}

func pair(s string) (a, b int, ok bool) {
	x, y, _ := strings.Cut(s, "/")
	a, err := strconv.Atoi(strings.TrimSpace(x))
	if err != nil || a < 0 {
		return 0, 0, false
	}
	b, err = strconv.Atoi(strings.TrimSpace(y))
	if err != nil || b < 0 {
		b = 0
	}
	return clamp(a), clamp(b), true
}
