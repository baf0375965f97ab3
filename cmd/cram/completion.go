package main

import (
	"context"

	"github.com/spf13/cobra"
)

func (a *app) completion() *cobra.Command {
	shells := []string{"bash", "fish", "powershell", "zsh"}
	cmd := &cobra.Command{
		Use:   "completion bash|fish|powershell|zsh",
		Short: "Print a script that completes commands and flags in a shell",
		Long: `Print a script for a shell. With it, the tab key completes the commands and flags of cram. Write
the script to the directory from which the shell loads completions, as in the examples, and open
a new shell. The script for bash needs the package bash-completion.`,
		Example: `  cram completion bash >~/.local/share/bash-completion/completions/cram
  cram completion fish >~/.config/fish/completions/cram.fish`,
		ValidArgs: shells,
		Args:      cobra.MatchAll(cobra.ExactArgs(1), cobra.OnlyValidArgs),
	}
	cmd.RunE = a.action(func(_ context.Context, args []string) error {
		root := cmd.Root()
		switch args[0] {
		case "bash":
			return root.GenBashCompletionV2(a.stdout, true)
		case "fish":
			return root.GenFishCompletion(a.stdout, true)
		case "powershell":
			return root.GenPowerShellCompletionWithDesc(a.stdout)
		default:
			return root.GenZshCompletion(a.stdout)
		}
	})
	return cmd
}
