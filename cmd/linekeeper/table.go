package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"
)

// width is what tables fit into: a terminal as it comes.
const width = 80

// table prints rows in columns, cut so that a line fits the width. The widest
// column gives way first. The first row is the heading.
func table(w io.Writer, rows [][]string) {
	if len(rows) == 0 {
		return
	}
	size := make([]int, len(rows[0]))
	for _, row := range rows {
		for i, cell := range row {
			size[i] = max(size[i], utf8.RuneCountInString(cell))
		}
	}
	for total(size) > width {
		size[widest(size)]--
	}
	for _, row := range rows {
		line := ""
		for i, cell := range row {
			line += fmt.Sprintf("%-*s  ", size[i], clip(cell, size[i]))
		}
		fmt.Fprintln(w, strings.TrimRight(line, " "))
	}
}

func total(size []int) int {
	sum := 2 * (len(size) - 1)
	for _, n := range size {
		sum += n
	}
	return sum
}

func widest(size []int) int {
	at := 0
	for i, n := range size {
		if n > size[at] {
			at = i
		}
	}
	return at
}

// clip shortens s to n characters, and keeps what a stranger may have put in
// (control characters) from reaching the terminal.
func clip(s string, n int) string {
	s = plain(s)
	if utf8.RuneCountInString(s) <= n {
		return s
	}
	return string([]rune(s)[:max(n-1, 0)]) + "…"
}

// plain replaces control characters.
func plain(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || (r >= 0x7f && r < 0xa0) {
			return '.'
		}
		return r
	}, s)
}

// ago says how long ago t was in at most two units; "never" for no time.
func ago(now, t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return span(now.Sub(t))
}

// span prints a duration in the two units that matter.
func span(d time.Duration) string {
	d = max(d, 0).Truncate(time.Second)
	s := int(d.Seconds())
	switch {
	case s < 60:
		return fmt.Sprintf("%ds", s)
	case s < 3600:
		return fmt.Sprintf("%dm %02ds", s/60, s%60)
	case s < 86400:
		return fmt.Sprintf("%dh %02dm", s/3600, s%3600/60)
	}
	return fmt.Sprintf("%dd %02dh", s/86400, s%86400/3600)
}

// plural is "1 phone" or "2 phones".
func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// printJSON prints v for scripts.
func printJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(v)
}
