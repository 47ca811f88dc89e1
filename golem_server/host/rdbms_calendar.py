"""Dates and times of golem:rdbms as numbers of days and microseconds, for all years that databases know.

Python's own dates end at the years 1 and 9999; databases go further. The calendar is the proleptic Gregorian one, with
a year 0. Nanoseconds are cut to the microseconds that databases keep.
"""

from __future__ import annotations

from golem_server.host.rdbms_errors import RdbmsError
from golem_server.model.types import Value

DAY_MICROSECONDS = 86_400_000_000

_ERA_DAYS = 146_097
"""Days of 400 years."""


def days_in_month(year: int, month: int) -> int:
    """How many days a month has."""
    if month == 2:
        return 29 if _is_leap(year) else 28
    return 30 if month in (4, 6, 9, 11) else 31


def days_of_date(date: Value) -> int:
    """Days since 1970-01-01. Raises RdbmsError for a date that does not exist."""
    year, month, day = date["year"], date["month"], date["day"]
    if not (1 <= month <= 12 and 1 <= day <= days_in_month(year, month)):
        raise RdbmsError.parameter(f"there is no date {year}-{month}-{day}")
    # The year starts in March, so that the leap day is its last one.
    shifted = year - (month <= 2)
    era, year_of_era = divmod(shifted, 400)
    day_of_year = (153 * (month + (-3 if month > 2 else 9)) + 2) // 5 + day - 1
    day_of_era = year_of_era * 365 + year_of_era // 4 - year_of_era // 100 + day_of_year
    return era * _ERA_DAYS + day_of_era - 719_468


def date_of_days(days: int) -> Value:
    """The date that lies this many days after 1970-01-01."""
    era, day_of_era = divmod(days + 719_468, _ERA_DAYS)
    year_of_era = (day_of_era - day_of_era // 1460 + day_of_era // 36_524 - day_of_era // 146_096) // 365
    day_of_year = day_of_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)
    shifted_month = (5 * day_of_year + 2) // 153
    month = shifted_month + (3 if shifted_month < 10 else -9)
    year = year_of_era + era * 400 + (month <= 2)
    return {"year": year, "month": month, "day": day_of_year - (153 * shifted_month + 2) // 5 + 1}


def microseconds_of_time(time: Value) -> int:
    """Microseconds since midnight. Raises RdbmsError for a time that does not exist; 24:00:00 does."""
    hour, minute, second, nanosecond = time["hour"], time["minute"], time["second"], time["nanosecond"]
    midnight = hour == 24 and not (minute or second or nanosecond)
    if not midnight and not (hour < 24 and minute < 60 and second < 60 and nanosecond < 1_000_000_000):
        raise RdbmsError.parameter(f"there is no time {hour:02}:{minute:02}:{second:02}.{nanosecond:09}")
    return ((hour * 60 + minute) * 60 + second) * 1_000_000 + nanosecond // 1000


def time_of_microseconds(microseconds: int) -> Value:
    """The time of day this long after midnight."""
    seconds, fraction = divmod(microseconds, 1_000_000)
    minutes, second = divmod(seconds, 60)
    hour, minute = divmod(minutes, 60)
    return {"hour": hour, "minute": minute, "second": second, "nanosecond": fraction * 1000}


def microseconds_of_timestamp(timestamp: Value) -> int:
    """Microseconds since 1970-01-01T00:00. Raises RdbmsError for one that does not exist."""
    return days_of_date(timestamp["date"]) * DAY_MICROSECONDS + microseconds_of_time(timestamp["time"])


def timestamp_of_microseconds(microseconds: int) -> Value:
    """The timestamp this long after 1970-01-01T00:00."""
    days, time = divmod(microseconds, DAY_MICROSECONDS)
    return {"date": date_of_days(days), "time": time_of_microseconds(time)}


def _is_leap(year: int) -> bool:
    return year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
