package config

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// Cost is what a change of the site costs those who are calling.
type Cost int

// The costs, in rising order.
const (
	// Free: nothing is changed.
	Free Cost = iota
	// Live: it takes effect at once and nobody notices.
	Live
	// NewCalls: it reaches the next call; calls in progress go on as they are.
	NewCalls
	// Restart: sockets or lines concerned start anew.
	Restart
)

// String is the cost's name.
func (c Cost) String() string {
	switch c {
	case Free:
		return "free"
	case Live:
		return "live"
	case NewCalls:
		return "newcalls"
	case Restart:
		return "restart"
	}
	return fmt.Sprintf("cost %d", int(c))
}

// MarshalText implements encoding.TextMarshaler.
func (c Cost) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// costOf reads an apply tag; what isn't one costs the most.
func costOf(tag reflect.StructTag) Cost {
	switch tag.Get("apply") {
	case "live":
		return Live
	case "newcalls":
		return NewCalls
	}
	return Restart
}

// Change is one value that differs between two sites. Secrets show as such.
type Change struct {
	Path string `json:"path"` // "extensions[22].name"
	Old  string `json:"old"`  // empty: it wasn't there
	New  string `json:"new"`  // empty: it is gone
	Cost Cost   `json:"cost"`
}

// String says the change in words.
func (c Change) String() string {
	switch {
	case c.Old == "":
		return fmt.Sprintf("%s: set to %s (%s)", c.Path, c.New, c.Cost)
	case c.New == "":
		return fmt.Sprintf("%s: %s taken away (%s)", c.Path, c.Old, c.Cost)
	case c.Old == c.New: // two secrets
		return fmt.Sprintf("%s: changed (%s)", c.Path, c.Cost)
	}
	return fmt.Sprintf("%s: %s becomes %s (%s)", c.Path, c.Old, c.New, c.Cost)
}

// Diff lists what differs between two sites, in the order of the document.
// List entries are matched by their number, name or id, so that a new
// extension in the middle is one change. A nil site is the Default.
func Diff(old, new *Site) []Change {
	if old == nil {
		old = Default()
	}
	if new == nil {
		new = Default()
	}
	d := &differ{}
	d.structs("", reflect.ValueOf(old).Elem(), reflect.ValueOf(new).Elem())
	return d.changes
}

// Dearest is the dearest cost among the changes.
func Dearest(changes []Change) Cost {
	most := Free
	for _, c := range changes {
		most = max(most, c.Cost)
	}
	return most
}

// CostOf is what going from old to new costs and which paths change.
func CostOf(old, new *Site) (Cost, []string) {
	changes := Diff(old, new)
	paths := make([]string, len(changes))
	for i, c := range changes {
		paths[i] = c.Path
	}
	return Dearest(changes), paths
}

type differ struct{ changes []Change }

func (d *differ) add(path, old, new string, cost Cost) {
	d.changes = append(d.changes, Change{path, old, new, cost})
}

func (d *differ) structs(path string, old, new reflect.Value) {
	for _, f := range fieldsOf(old.Type()) {
		p, o, n := join(path, f.Name), old.FieldByIndex(f.Index), new.FieldByIndex(f.Index)
		switch {
		case isBranch(f.Type):
			d.structs(p, o, n)
		case f.Type.Kind() == reflect.Slice && isBranch(f.Type.Elem()):
			d.lists(p, o, n, f.Tag)
		case !same(o, n):
			d.add(p, words(o), words(n), costOf(f.Tag))
		}
	}
}

// lists matches entries by identity; entries without one, by their place.
func (d *differ) lists(path string, old, new reflect.Value, tag reflect.StructTag) {
	before := map[string]reflect.Value{}
	for i := range old.Len() {
		before[identity(old.Index(i), i)] = old.Index(i)
	}
	after := map[string]bool{}
	for i := range new.Len() {
		id := identity(new.Index(i), i)
		after[id] = true
		p := path + "[" + id + "]"
		if o, was := before[id]; was {
			d.structs(p, o, new.Index(i))
			continue
		}
		d.add(p, "", words(new.Index(i)), costOf(tag))
	}
	for i := range old.Len() {
		if id := identity(old.Index(i), i); !after[id] {
			d.add(path+"["+id+"]", words(old.Index(i)), "", costOf(tag))
		}
	}
}

// identity is what an entry of a list is known by.
func identity(v reflect.Value, place int) string {
	for _, name := range []string{"Number", "Extension", "MAC", "ID", "Name"} {
		if f := v.FieldByName(name); f.IsValid() && !f.IsZero() {
			return fmt.Sprint(f.Interface())
		}
	}
	return fmt.Sprintf("#%d", place)
}

// same compares values; a list with nothing in it is the same as none.
func same(a, b reflect.Value) bool {
	if k := a.Kind(); (k == reflect.Slice || k == reflect.Map) && a.Len() == 0 && b.Len() == 0 {
		return true
	}
	return reflect.DeepEqual(a.Interface(), b.Interface())
}

// words writes a value for a person, without secrets.
func words(v reflect.Value) string {
	switch {
	case v.Kind() == reflect.Map:
		var out []string
		for _, k := range v.MapKeys() {
			out = append(out, fmt.Sprintf("%v: %v", k.Interface(), v.MapIndex(k).Interface()))
		}
		slices.Sort(out)
		return "{" + strings.Join(out, ", ") + "}"
	case v.Kind() == reflect.Slice:
		var out []string
		for i := range v.Len() {
			out = append(out, words(v.Index(i)))
		}
		return "[" + strings.Join(out, ", ") + "]"
	case isBranch(v.Type()):
		var out []string
		for _, f := range fieldsOf(v.Type()) {
			if o := v.FieldByIndex(f.Index); !o.IsZero() {
				out = append(out, f.Name+": "+words(o))
			}
		}
		return "{" + strings.Join(out, ", ") + "}"
	case v.Kind() == reflect.String && v.Type() != reflect.TypeFor[Secret]():
		return fmt.Sprintf("%q", v.String())
	}
	text := fmt.Sprint(v.Interface())
	if text == "" || v.IsZero() && v.Kind() != reflect.Bool && !v.CanInt() && !v.CanFloat() && !v.CanUint() {
		return `""`
	}
	return text
}
