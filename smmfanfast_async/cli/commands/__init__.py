"""The commands of `smmfanfast`, by what they are about; `cli._commands` is their table."""
