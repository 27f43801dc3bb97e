"""Go's template language (text/template) as text to a tree. Pure; raises TemplateError in Go's words.

What is read is what text/template/parse of Go 1.26 reads: actions with white space trimmed, comments, pipelines,
variables, if, with, range, break, continue, define, template and block. Complex numbers are the exception: no
template of a record needs one.
"""

from __future__ import annotations

from fastdns.plugins.template.tree import (
    Action,
    Bool,
    Branch,
    Call,
    Chain,
    Command,
    Dot,
    Field,
    Function,
    Leave,
    Nil,
    Node,
    Nodes,
    Number,
    Operand,
    Pipe,
    String,
    TemplateError,
    Text,
    Tree,
    Variable,
    quoted,
)
from fastdns.plugins.template.words import Word, encoded, number, unquoted, words

# Of actions and parentheses inside each other. Go stops at 10,000 parentheses.
MAX_NESTING = 64
MAX_TEXT_BYTES = 65536

FUNCTIONS = frozenset((
    "and", "or", "not", "len", "index", "slice", "print", "printf", "println", "html", "js", "urlquery", "call",
    "eq", "ne", "lt", "le", "gt", "ge", "parseInt",
))  # fmt: skip
# What an operand may begin with.
OPERANDS = frozenset(("bool", "number", ".", "field", "name", "nil", "string", "variable", "("))


class Parser:
    """One text. variables: those that are known where it reads."""

    def __init__(self, text: str) -> None:
        self.words = list(words(text))
        self.at = 0
        self.variables = ["$"]
        self.loops = 0
        self.nesting = 0
        self.defined: dict[str, Nodes] = {}

    def peek(self, *, spaces: bool = False) -> Word:
        """The next word; the next one that is no space."""
        while not spaces and self.words[self.at].kind == "space":
            self.at += 1
        return self.words[self.at]

    def next(self, *, spaces: bool = False) -> Word:
        """Take it."""
        word = self.peek(spaces=spaces)
        self.at = min(self.at + 1, len(self.words) - 1)
        return word

    def expect(self, kind: str, context: str) -> Word:
        """Take a word of one kind."""
        word = self.next()
        if word.kind != kind:
            raise TemplateError(f"unexpected {word} in {context}")
        return word

    def deeper(self) -> None:
        """Raises TemplateError where too much is inside each other."""
        self.nesting += 1
        if self.nesting > MAX_NESTING:
            raise TemplateError(f"more than {MAX_NESTING} actions and parentheses inside each other")

    def tree(self) -> Tree:
        """The whole text."""
        nodes, end = self.nodes(top=True)
        if end.kind != "end of text":
            raise TemplateError(f"unexpected {{{{{end.text}}}}}")
        return Tree(nodes, self.defined)

    def nodes(self, *, top: bool = False) -> tuple[Nodes, Word]:
        """Nodes up to end, else or the end of the text, which is taken as well."""
        found: list[Node] = []
        while True:
            word = self.next()
            if word.kind == "end of text":
                if not top:
                    raise TemplateError("unexpected EOF")
                return tuple(found), word
            if word.kind == "text":
                found.append(Text(encoded(word.text)))
                continue
            first = self.peek()
            if first.kind in ("end", "else"):
                self.next()
                return tuple(found), first
            if first.kind == "define":
                if not top:
                    raise TemplateError("unexpected <define> in command")
                self.next()
                self.define(self.name("define clause"), "define clause")
                continue
            found.append(self.action())

    def action(self) -> Node:
        """What stands between the delimiters; for a branch all up to its end."""
        kind = self.peek().kind
        if kind in ("if", "with", "range"):
            self.next()
            return self.branch(kind)
        if kind in ("break", "continue"):
            self.next()
            self.expect("right", f"{{{{{kind}}}}}")
            if not self.loops:
                raise TemplateError(f"{{{{{kind}}}}} outside {{{{range}}}}")
            return Leave(kind)
        if kind == "template":
            self.next()
            name = self.name("template clause")
            if self.peek().kind == "right":
                self.next()
                return Call(name, None)
            return Call(name, self.pipe("template clause", "right"))
        if kind == "block":
            self.next()
            name = self.name("block clause")
            pipe = self.pipe("block clause", "right")
            self.define(name, "block clause", opened=True)
            return Call(name, pipe)
        return Action(self.pipe("command", "right"))

    def name(self, context: str) -> str:
        """A template's name."""
        return unquoted(self.expect("string", context).text).decode("utf-8", "replace")

    def define(self, name: str, context: str, *, opened: bool = False) -> None:
        """The body of a template with a name, up to its end."""
        if not opened:
            self.expect("right", context)
        self.deeper()
        known, self.variables = self.variables, ["$"]
        loops, self.loops = self.loops, 0
        nodes, end = self.nodes()
        if end.kind != "end":
            raise TemplateError(f"unexpected {{{{else}}}} in {context}")
        self.expect("right", "end")
        self.variables, self.loops = known, loops
        self.nesting -= 1
        if is_empty(self.defined.get(name, ())):
            self.defined[name] = nodes
        elif not is_empty(nodes):
            raise TemplateError(f"multiple definition of template {quoted(name)}")

    def branch(self, kind: str) -> Branch:
        """Behind the keyword."""
        self.deeper()
        known = len(self.variables)
        pipe = self.pipe(kind, "right")
        self.loops += kind == "range"
        body, end = self.nodes()
        self.loops -= kind == "range"
        otherwise: Nodes | None = None
        if end.kind == "else":
            after = self.peek()
            if after.kind == kind and kind != "range":
                # "else if" is an if inside the else, and shares its end.
                self.next()
                otherwise = (self.branch(kind),)
                end = Word("end", "")
            else:
                self.expect("right", "else")
                otherwise, end = self.nodes()
                if end.kind != "end":
                    raise TemplateError("expected end; found {{else}}")
                self.expect("right", "end")
        else:
            self.expect("right", "end")
        del self.variables[known:]
        self.nesting -= 1
        return Branch(kind, pipe, body, otherwise)

    def pipe(self, context: str, end: str) -> Pipe:
        """A pipeline with what it declares, and the word behind it."""
        variables, assigns = self.declarations(context)
        commands: list[Command] = []
        while True:
            word = self.peek()
            if word.kind == end:
                self.next()
                break
            if word.kind not in OPERANDS:
                raise TemplateError(f"unexpected {word} in {context}")
            commands.append(self.command())
        if not commands:
            raise TemplateError(f"missing value for {context}")
        for stage, command in enumerate(commands[1:], 2):
            if isinstance(command.operands[0], Bool | Dot | Nil | Number | String):
                raise TemplateError(f"non executable command in pipeline stage {stage}")
        return Pipe(tuple(commands), variables, assigns)

    def declarations(self, context: str) -> tuple[tuple[str, ...], bool]:
        """The variables on the left of := or =."""
        found: list[str] = []
        while self.peek().kind == "variable":
            begin = self.at
            variable = self.next().text
            behind = self.peek()
            if behind.kind in (":=", "="):
                self.next()
                self.variables.append(variable)
                return (*found, variable), behind.kind == "="
            if behind.kind != ",":
                self.at = begin
                break
            self.next()
            found.append(variable)
            self.variables.append(variable)
            if context != "range" or len(found) > 1:
                raise TemplateError(f"too many declarations in {context}")
            if self.peek().kind not in ("variable", "right", ")"):
                raise TemplateError("range can only initialize variables")
        return tuple(found), False

    def command(self) -> Command:
        """Operands up to a pipe symbol, which is taken, or the end of the pipeline."""
        operands: list[Operand] = []
        while True:
            self.peek()
            operand = self.operand()
            if operand is not None:
                operands.append(operand)
            behind = self.peek(spaces=True)
            if behind.kind == "space":
                self.next(spaces=True)
                continue
            if behind.kind == "|":
                self.next()
            elif behind.kind not in ("right", ")"):
                raise TemplateError(f"unexpected {behind} in operand")
            break
        if not operands:
            raise TemplateError("empty command")
        return Command(tuple(operands))

    def operand(self) -> Operand | None:
        """A term, with its fields."""
        term = self.term()
        names: list[str] = []
        while term is not None and self.peek(spaces=True).kind == "field":
            names.append(self.next().text[1:])
        if term is None or not names:
            return term
        if isinstance(term, Field):
            return Field((*term.names, *names))
        if isinstance(term, Variable):
            return Variable(term.name, (*term.names, *names))
        if isinstance(term, Bool | String | Number | Nil | Dot):
            raise TemplateError(f"unexpected . after term {quoted(str(term))}")
        return Chain(term, tuple(names))

    def term(self) -> Operand | None:
        """One value; None where none begins here."""
        word = self.peek()
        if word.kind not in OPERANDS:
            return None
        self.next()
        text = word.text
        if word.kind == "name":
            if text not in FUNCTIONS:
                raise TemplateError(f"function {quoted(text)} not defined")
            return Function(text)
        if word.kind == "variable":
            if text not in self.variables:
                raise TemplateError(f"undefined variable {quoted(text)}")
            return Variable(text)
        if word.kind == "(":
            self.deeper()
            pipe = self.pipe("parenthesized pipeline", ")")
            self.nesting -= 1
            return pipe
        if word.kind == "field":
            return Field((text[1:],))
        if word.kind == "number":
            return number(text)
        if word.kind == "string":
            return String(text, unquoted(text))
        if word.kind == "bool":
            return Bool(text == "true")
        return Dot() if word.kind == "." else Nil()


def is_empty(nodes: Nodes) -> bool:
    """Whether there is nothing but white space in nodes."""
    return all(isinstance(node, Text) and not node.value.strip() for node in nodes)


def parse(text: str) -> Tree:
    """A template. Raises TemplateError."""
    if len(encoded(text)) > MAX_TEXT_BYTES:
        raise TemplateError(f"the text is longer than {MAX_TEXT_BYTES} bytes")
    return Parser(text).tree()
