package main

import (
	"fmt"

	"linekeeper/appliance/config"
)

type checkCmd struct {
	jsonFlag
	File string `arg:"" help:"Site document; - reads standard input."`
}

// Help implements kong's help with an example.
func (checkCmd) Help() string {
	return "Prints file:line:column of each finding. Exit code 1 if there is an error; warnings and notes are no errors.\n\nExample:\n  linekeeper check site.yaml"
}

// Run checks a site document without a daemon.
func (c checkCmd) Run(s *session) error {
	text, err := readSite(c.File)
	if err != nil {
		return err
	}
	name := c.File
	if name == "-" {
		name = "stdin"
	}
	_, found := config.Parse(name, text)
	if c.JSON {
		if found == nil {
			found = config.Problems{} // [] for scripts, never null
		}
		if err := printJSON(s.out, found); err != nil {
			return err
		}
	} else {
		for _, p := range found {
			fmt.Fprintln(s.out, plain(p.String()))
		}
		fmt.Fprintln(s.out, verdict(c.File, found))
	}
	if found.Failed() {
		return errFinding
	}
	return nil
}

// verdict sums up the findings in a line.
func verdict(file string, found config.Problems) string {
	errs, warns, notes := len(found.Of(config.Error)), len(found.Of(config.Warning)), len(found.Of(config.Note))
	word := "is in order"
	if errs > 0 {
		word = "can't be used"
	}
	return fmt.Sprintf("%s %s: %s, %s, %s", file, word, plural(errs, "error", "errors"),
		plural(warns, "warning", "warnings"), plural(notes, "note", "notes"))
}
