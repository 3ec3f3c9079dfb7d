package main

import (
	"fmt"
	"strings"
)

// around is how many unchanged lines are shown beside a change.
const around = 3

// maxMiddle bounds what is compared line by line, in lines on each side; the
// table of the comparison grows with its square.
const maxMiddle = 4000

// edit is one line of a comparison: ' ' kept, '-' gone, '+' new.
type edit struct {
	op   byte
	text string
}

// diff compares two texts line by line and returns the changes with some
// unchanged lines around them; empty for equal texts.
func diff(a, b string) string {
	if a == b {
		return ""
	}
	all := compare(strings.SplitAfter(a, "\n"), strings.SplitAfter(b, "\n"))
	show := make([]bool, len(all))
	for i, e := range all {
		if e.op != ' ' {
			for j := max(0, i-around); j <= min(len(all)-1, i+around); j++ {
				show[j] = true
			}
		}
	}
	var out strings.Builder
	line, gap := 1, true
	for i, e := range all {
		switch {
		case e.text == "": // what follows the last line end
		case !show[i]:
			gap = true
		default:
			if gap {
				fmt.Fprintf(&out, "@@ line %d @@\n", line)
				gap = false
			}
			fmt.Fprintf(&out, "%c%s\n", e.op, strings.TrimSuffix(e.text, "\n"))
		}
		if e.op != '+' {
			line++
		}
	}
	return out.String()
}

// compare returns the edits that lead from a to b. Equal ends are taken off
// first, since most changes to a site document are small.
func compare(a, b []string) []edit {
	head := 0
	for head < len(a) && head < len(b) && a[head] == b[head] {
		head++
	}
	tail := 0
	for tail < len(a)-head && tail < len(b)-head && a[len(a)-1-tail] == b[len(b)-1-tail] {
		tail++
	}
	out := mark(' ', a[:head])
	out = append(out, middle(a[head:len(a)-tail], b[head:len(b)-tail])...)
	return append(out, mark(' ', a[len(a)-tail:])...)
}

func mark(op byte, lines []string) []edit {
	out := make([]edit, len(lines))
	for i, l := range lines {
		out[i] = edit{op, l}
	}
	return out
}

// middle compares by the longest common subsequence.
func middle(a, b []string) []edit {
	if len(a) > maxMiddle || len(b) > maxMiddle {
		return append(mark('-', a), mark('+', b)...)
	}
	common := make([][]uint16, len(a)+1) // of a[i:] and b[j:]
	for i := range common {
		common[i] = make([]uint16, len(b)+1)
	}
	for i := len(a) - 1; i >= 0; i-- {
		for j := len(b) - 1; j >= 0; j-- {
			if a[i] == b[j] {
				common[i][j] = common[i+1][j+1] + 1
			} else {
				common[i][j] = max(common[i+1][j], common[i][j+1])
			}
		}
	}
	var out []edit
	i, j := 0, 0
	for i < len(a) && j < len(b) {
		switch {
		case a[i] == b[j]:
			out = append(out, edit{' ', a[i]})
			i++
			j++
		case common[i+1][j] >= common[i][j+1]:
			out = append(out, edit{'-', a[i]})
			i++
		default:
			out = append(out, edit{'+', b[j]})
			j++
		}
	}
	out = append(out, mark('-', a[i:])...)
	return append(out, mark('+', b[j:])...)
}
