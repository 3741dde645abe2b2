package main

import (
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	proxyapp "github.com/sidelight-mesh/sidelight/proxy/app"
)

// pages gives what users read, by path.
func pages(t *testing.T) map[string]string {
	t.Helper()
	names, err := filepath.Glob("../../docs/*.md")
	if err != nil || len(names) < 10 {
		t.Fatalf("found %d pages: %v", len(names), err)
	}
	out := map[string]string{}
	for _, name := range append(names, "../../README.md", "../../ARCHITECTURE.md", "../../CONTRIBUTING.md") {
		content, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		out[strings.TrimPrefix(name, "../../")] = string(content)
	}
	return out
}

var codeSpan = regexp.MustCompile("`([^`\n]*(?:\n[^`\n]+)?)`")

// shown gives the command lines of a page: block is true for those that stand
// by themselves, to be typed as they are.
func shown(page string, visit func(line string, block bool)) {
	var prose strings.Builder
	fenced := false
	typed := "" // the beginning of a line that goes on
	for line := range strings.Lines(page) {
		line = strings.TrimRight(line, "\n")
		switch {
		case strings.HasPrefix(strings.TrimSpace(line), "```"):
			fenced = !fenced
		case fenced || strings.HasPrefix(line, "    "):
			if before, goesOn := strings.CutSuffix(line, `\`); goesOn {
				typed += before
				continue
			}
			visit(typed+line, true)
			typed = ""
		default:
			prose.WriteString(line + "\n")
		}
	}
	for _, m := range codeSpan.FindAllStringSubmatch(prose.String(), -1) {
		visit(strings.ReplaceAll(m[1], "\n", " "), false)
	}
}

var shellWord = regexp.MustCompile(`'[^']*'|"[^"]*"|&&|[&|;<>#…]|(?:[^\s'"&|;<>]|'[^']*'|"[^"]*")+`)

// commandsOf gives the arguments of each call of ours in a line of shell.
func commandsOf(line string) (calls [][]string) {
	var call []string
	end := func() {
		if call != nil {
			calls = append(calls, call)
		}
		call = nil
	}
	for _, word := range shellWord.FindAllString(line, -1) {
		switch {
		case word == "sidelight" || word == "sidelight-proxy" || word == "bin/sidelight":
			end()
			call = []string{filepath.Base(word)}
		case strings.ContainsAny(word[:1], "&|;<>#"):
			end()
		case call != nil:
			call = append(call, strings.NewReplacer(`'`, "", `"`, "").Replace(word))
		}
	}
	end()
	return calls
}

func commandTree(name string) *cobra.Command {
	if name == "sidelight-proxy" {
		cmd := proxyapp.Command("")
		cmd.Use = name
		return cmd
	}
	return rootCommand()
}

// remark is what a help text says beside a command line.
var remark = regexp.MustCompile(`(\S) {2,}.*`)

// typedLine is a line of a block that is typed; others are what a command prints.
var typedLine = regexp.MustCompile(`^\s*(\$ |- |\w*=\S+ |setpriv.*)?(bin/)?sidelight(-proxy)? `)

// Every command line that a page or a help text shows is understood.
func TestCommandsInPages(t *testing.T) {
	texts := pages(t)
	for _, root := range []*cobra.Command{commandTree("sidelight"), commandTree("sidelight-proxy")} {
		eachCommand(root, func(cmd *cobra.Command) {
			texts[cmd.CommandPath()+" --help"] = "```\n" + remark.ReplaceAllString(cmd.Long+"\n"+cmd.Example, "$1") + "\n```"
		})
	}
	checked := 0
	for page, text := range texts {
		shown(text, func(line string, block bool) {
			if block && !typedLine.MatchString(line) {
				return
			}
			for _, call := range commandsOf(line) {
				cmd, rest, err := commandTree(call[0]).Find(call[1:])
				if err == nil {
					err = cmd.ParseFlags(rest)
				}
				args := cmd.Flags().Args()
				// A page may speak of a command without saying of what.
				if err == nil && !strings.Contains(line, "…") && (block || len(args) > 0) {
					err = cmd.ValidateArgs(args)
				}
				if err != nil && !errors.Is(err, pflag.ErrHelp) {
					t.Errorf("%s: %s: %v", page, strings.TrimSpace(line), err)
				}
				checked++
			}
		})
	}
	if checked < 100 {
		t.Errorf("found %d command lines only", checked)
	}
}

func eachCommand(cmd *cobra.Command, visit func(*cobra.Command)) {
	visit(cmd)
	for _, sub := range cmd.Commands() {
		eachCommand(sub, visit)
	}
}

var flagName = regexp.MustCompile(`(?:^|[^\w-])--([a-z][a-z0-9.-]*[a-z0-9])`)

// notOurs are flags of other programs that the pages name.
var notOurs = map[string]bool{
	"bind":  true,                                      // python3 -m http.server
	"reuid": true, "regid": true, "clear-groups": true, // setpriv
	"from-file":                        true, // kubectl create configmap
	"project":                          true, // percli migrate
	"web.enable-remote-write-receiver": true, // prometheus
}

// Pages speak of flags that there are, and of every flag that a process of ours
// is run with. Those of commands that look are told by --help.
func TestFlagsInPages(t *testing.T) {
	known := map[string]bool{"help": true}
	told := map[string]bool{}
	var processes []*cobra.Command
	for _, root := range []*cobra.Command{commandTree("sidelight"), commandTree("sidelight-proxy")} {
		eachCommand(root, func(cmd *cobra.Command) {
			cmd.Flags().VisitAll(func(f *pflag.Flag) { known[f.Name] = true })
			switch cmd.CommandPath() {
			case "sidelight run", "sidelight server", "sidelight collector", "sidelight-proxy", "sidelight-proxy init", "sidelight-proxy wait":
				processes = append(processes, cmd)
			}
		})
	}
	for page, text := range pages(t) {
		shown(text, func(line string, _ bool) {
			for _, m := range flagName.FindAllStringSubmatch(line, -1) {
				if told[m[1]] = true; !known[m[1]] && !notOurs[m[1]] {
					t.Errorf("%s: no command has --%s: %s", page, m[1], strings.TrimSpace(line))
				}
			}
		})
	}
	missing := map[string]bool{}
	for _, cmd := range processes {
		cmd.Flags().VisitAll(func(f *pflag.Flag) {
			if !told[f.Name] && !f.Hidden && f.Name != "help" {
				missing[f.Name] = true
			}
		})
	}
	for name := range missing {
		t.Errorf("no page tells of --%s", name)
	}
}
