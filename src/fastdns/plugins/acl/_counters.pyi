PLACES: int

class Counters:
    def at(self, place: int) -> tuple[int, int, int, int]: ...
