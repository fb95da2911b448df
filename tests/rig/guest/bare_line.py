"""A button and an LED with nothing but gpiozero between them: what the lines and the library take by themselves."""

import sys
from pathlib import Path
from signal import pause

from gpiozero import LED, Button
from gpiozero.pins.lgpio import LGPIOFactory

button_line, led_line = (int(each) for each in sys.argv[1:])
factory = LGPIOFactory(chip=0)
button = Button(button_line, pin_factory=factory)
led = LED(led_line, pin_factory=factory)
button.when_pressed, button.when_released = led.on, led.off
Path("/tmp/bare-line").write_text("ready", encoding="ascii")
pause()
