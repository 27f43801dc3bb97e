class Share:
    turn: int
    left: int
    passed: bool

class TurnNumber:
    turn: int
    def allowance(self, client: Share) -> int: ...
