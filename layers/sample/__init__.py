"""The sample county: 云岭县 (Yunling), a fictional county made by code from a seed, to try the service with.

Nothing in it is real: places, people, telephone numbers, dangers and stock are invented, and every row
says so in its ``note``. ``county.make`` puts it together; the other modules each make one part.
"""

from layers.sample.county import SampleCounty, make

__all__ = ["SampleCounty", "make"]
